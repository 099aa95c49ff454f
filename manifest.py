# Manifest of the library, for MicroPython's manifest files: include("path/to/this/folder") freezes faction.

metadata(
    description="Start-up coordination for swarms of sensor nodes",
    version="1.0.0",
    license="MIT",
)
package("faction", base_path="lib")
