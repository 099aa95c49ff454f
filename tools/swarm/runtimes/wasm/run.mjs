// Runs a MicroPython script on the 32-bit webassembly port.
//
// node run.mjs JSON, where JSON is an object:
//   module  path of the npm package's micropython.mjs
//   heap    bytes of heap
//   paths   pairs: a folder, and the path at which its .py and .mpy files are made visible, which goes on sys.path
//   files   pairs: another file, and the path at which it is made visible
//   script  file to run; a line that starts with "#%%" divides it into cells
//   argv    arguments of the script
//
// Each cell is a call of its own into the runtime: it collects garbage only between calls. A script that has much to
// do defines more(), which does a part of it and tells whether there is any left; it is called until it says no.

import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const job = JSON.parse(process.argv[2]);
const { loadMicroPython } = await import(pathToFileURL(job.module).href);

// The port writes a character at a time; gather them, and write synchronously so that exit loses nothing.
let pending = [];
function flush() {
  let rest = Buffer.from(pending);
  pending = [];
  while (rest.length) {
    try {
      rest = rest.subarray(fs.writeSync(1, rest));
    } catch (error) {
      if (error.code !== "EAGAIN") throw error; // a full pipe: its reader is slower than we are
    }
  }
}
const runtime = await loadMicroPython({
  heapsize: job.heap,
  linebuffer: false,
  stdout: (bytes) => {
    pending.push(bytes[0]);
    if (bytes[0] === 10) flush();
  },
});

function show([file, at]) {
  runtime.FS.mkdirTree(path.dirname(at));
  runtime.FS.writeFile(at, fs.readFileSync(file));
}

function showFolder([folder, at]) {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const pair = [path.join(folder, entry.name), path.join(at, entry.name)];
    if (entry.isDirectory()) showFolder(pair);
    else if (/\.m?py$/.test(entry.name)) show(pair);
  }
}

job.paths.forEach(showFolder);
job.files.forEach(show);
const folders = job.paths.map(([, at]) => at);

try {
  runtime.runPython(`import sys\nsys.path[:0] = ${JSON.stringify(folders)}\nsys.argv[:] = ${JSON.stringify([job.script, ...job.argv])}`);
  for (const cell of fs.readFileSync(job.script, "utf8").split(/^#%%.*$/m)) runtime.runPython(cell);
  const more = runtime.globals.get("more");
  while (more && more());
  flush();
} catch (error) {
  flush();
  if (error.name !== "PythonError") throw error;
  // The message is the traceback; that of SystemExit ends with its argument.
  const code = error.type === "SystemExit" ? error.message.trim().match(/SystemExit:?\s*(\d*)$/)?.[1] : undefined;
  if (code === undefined) {
    console.error(error.message.trim());
    process.exit(1);
  }
  process.exit(Number(code));
}
