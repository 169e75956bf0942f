"""How the pictures look: Graphviz attributes for pages, nodes, label boxes and lines.

No meaning depends on colour alone: failures are dashed, warnings dotted, terminal states have a double border. The
colours are distinguishable with the common kinds of colour blindness, and have a contrast of 4.5 to 1 on white.
"""

from .graph import Arrow, Direction, Kind, Node, Tone

# DejaVu and Verdana have nearly the same widths: text that is laid out with one stays centred with the other
FONT = "DejaVu Sans,Verdana,Helvetica,Arial,sans-serif"
INK = "#1F2937"
GREY = "#5B6472"
BADGE = "#475569"
COLOURS: dict[Tone, str] = {"plain": "#1D4E89", "failure": "#B3261E", "warning": "#8A5A00"}
TINTS: dict[Tone, str] = {"plain": "#F3F7FC", "failure": "#FDF2F1", "warning": "#FDF8EC"}
STYLES: dict[Tone, str] = {"plain": "solid", "failure": "dashed", "warning": "dotted"}
WIDTHS: dict[Tone, str] = {"plain": "1.4", "failure": "1.6", "warning": "1.7"}

TITLE_SIZE, TEXT_SIZE, STATE_SIZE, TRIGGER_SIZE, SMALL_SIZE, BADGE_SIZE = 20, 11, 15, 12, 9, 7

NODE = {"fontname": FONT, "shape": "box", "style": "rounded,filled", "margin": "0.22,0.1", "penwidth": "1.3"}
EDGE = {"fontname": FONT, "arrowsize": "0.75"}
GROUP = {"fontname": FONT, "style": "rounded,filled", "fillcolor": "#F7F8FA", "color": "#CBD2DB", "margin": "14"}
BARE_LABEL = {"shape": "plain", "style": "", "margin": "0"}

_POINT = {"fixedsize": "true", "fillcolor": INK, "color": INK}
KINDS: dict[Kind, dict[str, str]] = {
    "start": {"shape": "circle", "width": "0.17", **_POINT},
    "end": {"shape": "doublecircle", "width": "0.12", **_POINT},
    "join": {"shape": "point", "width": "0.07", "color": COLOURS["plain"]},
    "more": {"fillcolor": "white", "color": COLOURS["plain"], "style": "rounded,filled,dotted"},
    "hook": {"fillcolor": "white", "color": GREY, "style": "rounded,filled,dashed"},
    "task": {"fillcolor": "#E6F0FA", "color": COLOURS["plain"]},
}


def page(direction: Direction) -> dict[str, str]:
    """Attributes of the whole picture."""
    return {
        "fontname": FONT,
        "rankdir": "TB" if direction == "down" else "LR",
        "nodesep": "0.24",
        "ranksep": "0.42" if direction == "down" else "0.45",
        "pad": "0.35",
        "bgcolor": "white",
        "labelloc": "t",
        "labeljust": "l",
    }


def node(node: Node) -> dict[str, str]:
    """Attributes of one node."""
    return _state(node) if node.kind == "state" else KINDS[node.kind]


def node_size(node: Node) -> int:
    """The size of a node's title, in points."""
    return STATE_SIZE if node.kind == "state" else TRIGGER_SIZE


def label_box(tone: Tone) -> dict[str, str]:
    """Attributes of the box around an arrow's text."""
    return {"fillcolor": TINTS[tone], "color": COLOURS[tone], "margin": "0.07,0.03", "penwidth": "0.8"}


def line(edge: Arrow) -> dict[str, str]:
    """Attributes of an arrow's line."""
    if edge.loose:
        return {"color": GREY, "style": "dashed", "penwidth": WIDTHS["plain"]}
    return {"color": COLOURS[edge.tone], "style": STYLES[edge.tone], "penwidth": WIDTHS[edge.tone]}


def weight(edge: Arrow, *, near: bool = False) -> str:
    """How hard dot tries to keep a line short and straight: plain lines first.

    Of the two lines of a longer arrow, the one nearer to the start of the picture is kept short, so that the text has
    enough room, and the line does not run along the side of a state.
    """
    if edge.tone == "plain":
        return "40"
    return "2" if near else "1"


def _state(node: Node) -> dict[str, str]:
    if node.failure:
        colours = {"fillcolor": "#FBE9E7", "color": COLOURS["failure"]}
    elif node.terminal:
        colours = {"fillcolor": "#E3F1E6", "color": "#1E6B3A"}
    else:
        colours = {"fillcolor": "#E6F0FA", "color": COLOURS["plain"]}
    border = {"peripheries": "2"} if node.terminal else {"width": "2.3"}
    return colours | border | ({"penwidth": "2.6"} if node.leased else {})
