"""The tables of peers.py in Markdown, and README.md and peers.svg with them."""

import os

import picture
import report

FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BEGIN, END = "<!-- peers: written by peers.sh --write -->", "<!-- peers: end -->"
TITLES = {"nginx": "nginx `return 200`", "postern": "**Postern**"}


def _table(head, rows):
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _title(name):
    return TITLES.get(name, name)


def _details(one):
    share = "-" if one["settled_share"] is None else f"{one['settled_share']:.2f}"
    wrong = one["errors"] + sum(count for status, count in one["statuses"].items() if not status.startswith("2"))
    return [f"{one['requests_per_s']:,.0f}", report.milliseconds(one["p50_us"]), report.milliseconds(one["p99_us"]),
            f"{one['server_cpu_s_per_100k']:.1f}", f"{one['rss_mib']:.0f}", share, f"{one['generator_busy']:.0%}", f"{wrong:,}"]


def _tuning(figures, name):
    tuning = ", ".join(f"{key}: {value}" for key, value in figures["tunings"].get(name, {}).items())
    tried = [f"{each['acks_per_s']:,.0f}" for each in figures["tried"].get(name, [])]
    return f"{tuning} (the fastest of {', '.join(tried)}/s)" if tried else "-"


def tables(figures):
    counts = [str(count) for count in figures["connections"]]
    shown = figures["shown"]
    facts = figures["machine"]
    parts = [f"Measured on {figures['date']}: {facts['cpus']} CPUs ({facts['cpu']}), Linux {facts['kernel']}, data on "
             f"{facts['file_system']}, a fdatasync of {figures['commit_bytes']:,} bytes takes {figures['fdatasync_ms']:.2f} ms; "
             f"{figures['seconds']:g} s a phase, load average {facts['load_average']} at the start."]
    if figures["mode"] == "quick":
        parts.append("**This was a quick run: it shows that everything works, and its figures say little.**")
    parts.append("Acknowledged a second, by connections:")
    parts.append(_table(["", *counts], [[_title(name), *(f"{each[count]['requests_per_s']:,.0f}" for count in counts)]
                                        for name, each in shown.items()]))
    head = ["connections", "server", "acks/s", "p50", "p99", "CPU s/100k", "RSS MiB", "handled", "generator", "errors"]
    parts.append(_table(head, [[count if name == "nginx" else "", _title(name), *_details(each[count])]
                               for count in counts for name, each in shown.items()]))
    parts.append("At half of its own rate at 256 connections (open loop):")
    parts.append(_table(head[1:], [[_title(name), *_details(one)] for name, one in figures["half_rate"].items()]))
    parts.append(_table(["server", "versions", "setting"],
                        [[_title(name), ", ".join(f"{part} {version}" for part, version in versions.items()), _tuning(figures, name)]
                         for name, versions in figures["versions"].items()]).replace("--:", "---"))
    parts.append(_table(["bar", "measured", "wanted"], [[
        bar["name"], f"{bar['value']:.2f}", f"{'≤' if bar.get('most') else '≥'} {bar['wanted']:g}, {'met' if bar['met'] else 'missed'}"]
        for bar in figures["bars"]]))
    return "\n\n".join(parts)


def write(figures):
    path = os.path.join(FOLDER, "README.md")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{path} has no lines {BEGIN} and {END}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN}\n\n![Acknowledged webhooks a second, by connections](peers.svg)\n\n{tables(figures)}\n\n{END}{after}")
    with open(os.path.join(FOLDER, "peers.svg"), "w", encoding="utf-8") as file:
        file.write(picture.draw(figures))
