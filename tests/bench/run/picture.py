"""peers.svg: acks/s by connections, on a log scale, each line with its name at its end. Readable on light and on dark."""

import math
from html import escape

WIDTH, HEIGHT = 860, 460
LEFT, RIGHT, TOP, BOTTOM = 76, 236, 64, 44
NAMES = {"nginx": "nginx return 200: no work", "postern": "Postern"}
# Light and dark: told apart with every common colour blindness, and each line has its name beside it anyway.
COLOURS = {"nginx": ("#6b7280", "#9ca3af"), "postern": ("#c2410c", "#fb923c"), "Express + BullMQ, always": ("#1d4ed8", "#7aa2ff"),
           "Express + BullMQ, everysec": ("#0e7490", "#4cc9e0"), "FastAPI + Celery, always": ("#7e22ce", "#cb9bff"),
           "webhook": ("#15803d", "#5fd38a")}
LABEL_GAP = 17


def _style():
    lines = [f".s{i}{{stroke:{light}}} .t{i}{{fill:{light}}}" for i, (light, _) in enumerate(COLOURS.values())]
    dark = [f".s{i}{{stroke:{dark}}} .t{i}{{fill:{dark}}}" for i, (_, dark) in enumerate(COLOURS.values())]
    return ("text{font:13px system-ui,sans-serif;fill:#374151} .title{font-size:16px;font-weight:600;fill:#111827} .grid{stroke:#e5e7eb}"
            ".back{fill:#fff} .line{fill:none;stroke-width:2;stroke-linejoin:round} .ours{stroke-width:3.5} .name{font-weight:600}"
            + " ".join(lines) + "@media (prefers-color-scheme:dark){text{fill:#c9d1d9} .title{fill:#f0f6fc} .grid{stroke:#30363d}"
            ".back{fill:#0d1117}" + " ".join(dark) + "}")


def _spread(wanted):
    """Places of labels, none nearer to the next than LABEL_GAP, each as near to where it wants to be as that allows."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    places = list(wanted)
    for _ in range(200):
        for above, below in zip(order, order[1:]):
            lack = LABEL_GAP - (places[below] - places[above])
            if lack > 0.01:
                places[above] -= lack / 2
                places[below] += lack / 2
    return places


def draw(figures):
    counts = [str(count) for count in figures["connections"]]
    rates = {name: [each[count]["requests_per_s"] for count in counts] for name, each in figures["shown"].items()}
    every = [rate for each in rates.values() for rate in each]
    lowest, highest = math.log10(min(every) / 1.5), math.log10(max(every) * 1.5)

    def x(i):
        return LEFT + i * (WIDTH - LEFT - RIGHT) / (len(counts) - 1)

    def y(rate):
        return HEIGHT - BOTTOM - (math.log10(rate) - lowest) / (highest - lowest) * (HEIGHT - TOP - BOTTOM)

    quick = ", a quick run" if figures["mode"] == "quick" else ""
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
             f'aria-label="Acknowledged webhooks per second by connections">', f"<style>{_style()}</style>",
             f'<rect class="back" width="{WIDTH}" height="{HEIGHT}" rx="8"/>',
             f'<text class="title" x="{LEFT}" y="26">Webhooks acknowledged per second, by connections</text>',
             f'<text x="{LEFT}" y="45">log scale; {figures["machine"]["cpus"]} CPUs, generator included; {figures["date"]}{quick}</text>']
    for power in range(math.ceil(lowest), math.floor(highest) + 1):
        at = y(10**power)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{10**power:,}</text>')
    parts += [f'<text x="{x(i):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{count}</text>' for i, count in enumerate(counts)]
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">connections</text>')
    ends = _spread([y(each[-1]) for each in rates.values()])
    for (name, each), end in zip(rates.items(), ends):
        style = list(COLOURS).index(name)
        points = " ".join(f"{x(i):.1f},{y(rate):.1f}" for i, rate in enumerate(each))
        ours = " ours" if name == "postern" else ""
        parts.append(f'<polyline class="line s{style}{ours}" points="{points}"/>')
        parts += [f'<circle class="t{style}" cx="{x(i):.1f}" cy="{y(rate):.1f}" r="{4 if ours else 3}"/>' for i, rate in enumerate(each)]
        parts.append(f'<text class="name t{style}" x="{WIDTH - RIGHT + 10}" y="{end + 4:.1f}">{escape(NAMES.get(name, name))}</text>')
    return "\n".join(parts) + "\n</svg>\n"
