"""Links carry frames between nodes. Each is a module of its own, loaded only on a board that has it.

A link is made from the configuration and the board's data, and offers: mtu (bytes), imin_ms (at least four frame
times), receive_buffer(), on_receive(callback), pending(), whether receive() has something to do, free(), send(buffer,
length), which returns the ticks_us at which the transmission began, in doubt an earlier one, or None when that is
not known, receive(buffer), sent_us, counters(), error (the last one, or None) and close().
"""
