"""`_espnow` as far as it takes heap: one ring of rxbuf bytes (ports/esp32/modespnow.c, recv_buffer), and the peers."""

MAX_DATA_LEN = 1470  # as later versions have it, so that whoever takes that for a buffer's length is measured


class ESPNowBase:
    peers_table = {}

    def any(self):
        return False

    def active(self, on):
        if on:
            self.ring = bytearray(self.size)

    def config(self, rxbuf):
        self.size = rxbuf

    def add_peer(self, mac):
        self.peers = {mac: [0, 0]}

    def irq(self, callback):
        self.callback = callback

    def send(self, mac, data, sync):
        return True

    def recvinto(self, packet, wait):
        return 0

    def stats(self):
        return (0, 0, 0, 0, 0)
