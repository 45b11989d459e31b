"""The tables of voice.py in Markdown, and README.md with them."""

import os

from report import milliseconds

FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BEGIN, END = "<!-- voice: written by voice.sh --write -->", "<!-- voice: end -->"
HEAD = ["calls", "server", "to the model p50", "p99", "max", "to the caller p50", "p99", "max", "lost", "barge-in p99", "cores", "µs a frame",
        "KiB a call", "generator", "offered", "late p99"]


def _table(head, rows):
    lines = [head, ["--:", "---"] + ["--:"] * (len(head) - 2), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _row(one):
    latencies = [milliseconds(one[way][name]) for way in ("to_model", "to_caller") for name in ("p50_us", "p99_us", "max_us")]
    gateway, generator = one["gateway"], one["generator"]
    name = "**Postern**" if one["server"] == "postern" else one["server"]
    # Of few calls the growth is what the first one needs at all.
    memory = f"{gateway['kib_per_call']:.0f}" if one["calls"] >= 50 else "-"
    calls_lost = one["calls"] - one["talking"] + one["broken"]
    lost = f"{one['lost']:,}" + (f" and {calls_lost:,} calls" if calls_lost else "")
    return [f"{one['calls']:,}", name, *latencies, lost, milliseconds(one["barge_in"]["p99_us"]), f"{gateway['cpu_s'] / one['seconds']:.2f}",
            f"{gateway['us_per_frame']:.1f}", memory, f"{generator['cpu_s'] / one['seconds']:.0%}", f"{one['offered']:.1%}", milliseconds(generator["late_p99_us"])]


def tables(figures):
    facts = figures["machine"]
    parts = [f"Measured on {figures['date']}: {facts['cpus']} CPUs ({facts['cpu']}), Linux {facts['kernel']}; {figures['seconds']:g} s each; "
             f"load average {facts['load_average']} before, {figures['load_average_after']} after"
             f"{', all that is measured with real-time priority' if figures['realtime'] else ''}."]
    if figures["mode"] == "quick":
        parts.append("**This was a quick run: it shows that everything works, and its figures say little.**")
    parts.append(_table(HEAD, [_row(one["shown"]) for one in figures["calls"].values()]))
    compared = figures["compared"]
    if compared:
        parts.append("Step by step, of each the round with the least p99, up to what is too many:")
        parts.append(_table(HEAD, [_row(one) for steps in (compared["postern"], *compared["nodes"]) for one in steps]))
        parts.append("As many calls as each takes with no frame lost and at most that p99:")
        parts.append("\n".join(["| p99 at most | **Postern** | Node bridge | ratio |", "| --: | --: | --: | --: |"] + [
            f"| {one['p99_ms']:g} ms | {one['postern']:,} | {one['node']:,} | {one['postern'] / max(1, one['node']):.1f} |"
            for one in compared["equal"]]))
        parts.append("Node bridge: " + ", ".join(f"{name} {version}" for name, version in compared["versions"].items()) + ".")
    parts.append("\n".join(["| bar | measured | wanted |", "| --- | --: | --: |"] + [
        f"| {bar['name']} | {bar['value']:.2f} | {'≤' if bar['most'] else '≥'} {bar['wanted']:g}, {'met' if bar['met'] else 'missed'} |"
        for bar in figures["bars"]]))
    return "\n\n".join(parts)


def write(figures):
    path = os.path.join(FOLDER, "README.md")
    with open(path, encoding="utf-8") as file:
        before, begin, rest = file.read().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{path} has no lines {BEGIN} and {END}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN}\n\n{tables(figures)}\n\n{END}{after}")
