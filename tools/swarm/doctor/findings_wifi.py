"""What can be wrong with a node's WiFi: its network, its password, an access point that keeps its clients apart."""

from __future__ import annotations

from collections.abc import Iterator

from swarm.doctor.examination import Board
from swarm.doctor.finding import Finding, Words

WIFI_ERROR = "udp: OSError: WiFi "  # of the link itself, whose state tells the same
_UNHEARD = 8  # frames sent without one heard: a node of several that is heard says less


class OfWifi(Words):
    """Findings about the link udp."""

    def of_wifi(self, board: Board, status: dict) -> Iterator[Finding]:
        """Whether the link udp has joined its network, and hears anybody there."""
        link = status["links"].get("udp")
        if link is None:
            return
        ssid, why = self.swarm.ssid, "this node talks to nobody over WiFi until it has joined"
        if link["WiFi"] != "joined":
            remedy = {
                "wrong password": f"write the right one into {self.swarm.wifi_path}, then {self.deploy_board(board)}",
                "not found": f"correct `ssid` in {self.swarm.path}, or bring an access point of 2.4 GHz nearer",
            }.get(
                link["WiFi"], f"look at the access point: its DHCP, its filters, its password in {self.swarm.wifi_path}"
            )
            yield self.at(board, "wifi", f"WiFi {ssid}: {link['WiFi']}", why, remedy)
        elif link["unheard"] >= _UNHEARD and sum("udp" in member.talks for member in self.swarm.members) > 1:
            yield self.at(
                board,
                "isolated",
                f"it has joined WiFi {ssid}, and heard nobody there since it sent {link['unheard']} frames",
                "no other node is in that network, or the access point keeps its clients apart",
                'turn "AP isolation" or "client isolation" off there, and take no guest network; switch the others on',
            )
