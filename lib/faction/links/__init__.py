"""Links carry frames between nodes. Each is a module of its own, loaded only on a board that has it.

A link is made from the configuration and the board's data, and offers: mtu (bytes), imin_ms (at least four frame
times), receive_buffer(), on_receive(callback), free(), send(buffer, length), receive(buffer), sent_us, counters(),
error (the last one, or None) and close().
"""


def open_link(name, config, board):
    """Open the link of that name, `espnow` or `uart`. Raises OSError or ValueError when the board cannot have it."""
    try:
        if name == "espnow":
            from faction.links.espnow import EspNowLink

            return EspNowLink(config, board)
        from faction.links.uart import UartLink

        return UartLink(config, board)
    except ImportError as error:
        raise ValueError("%s cannot have the link %s (%s): write another in links" % (board.NAME, name, error))
