"""Progress on stderr, tables on stdout; colours on terminals only."""

import os
import sys

_COLOURS = {"red": 31, "green": 32, "yellow": 33, "bold": 1}


def paint(text, colour, stream=sys.stdout):
    if not stream.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb":
        return text
    return f"\033[{_COLOURS[colour]}m{text}\033[0m"


class Progress:
    """[step/steps] what is done … what came out."""

    def __init__(self, steps):
        self.steps = steps
        self.step = 0
        self.text = ""

    def begin(self, text):
        self.step += 1
        self.text = f"[{self.step:2}/{self.steps}] {text}"
        print(self.text, end=" … ", file=sys.stderr, flush=True)

    def tell(self, text):
        """Where it is, on a terminal: overwritten by the next."""
        if sys.stderr.isatty():
            print(f"\r\033[K{self.text} … {text}", end="", file=sys.stderr, flush=True)

    def done(self, text):
        if sys.stderr.isatty():
            print(f"\r\033[K{self.text} … ", end="", file=sys.stderr)
        print(text, file=sys.stderr, flush=True)


_HEAD = ("CONNECTIONS", "SERVER", "REQUESTS/S", "RATIO", "P50", "P99", "CPU s/100k", "GENERATOR", "RSS MiB", "SETTLED/S",
         "OF ACKS", "ERRORS")


def counted(connections):
    return f"{connections} connection" + ("s" if connections > 1 else "")


def milliseconds(us):
    return f"{us / 1000:.2f} ms" if us < 100_000 else f"{us / 1000:.0f} ms"


def _row(label, one, ratio, first):
    settled = "-" if one.settled_share is None else f"{one.settled_per_s:,.0f}"
    share = "-" if one.settled_share is None else f"{one.settled_share:.2f}"
    return [str(one.connections) if first else "", label, f"{one.requests_per_s:,.0f}", "" if first else f"{ratio:.2f}",
            milliseconds(one.p50_us), milliseconds(one.p99_us), f"{one.server_cpu_s_per_100k:.2f}",
            f"{one.generator_us_per_request:.1f} us {one.generator_busy:4.0%}", f"{one.rss_mib:.0f}", settled, share,
            f"{one.wrong:,}"]


def print_table(title, comparisons):
    rows = [list(_HEAD)]
    for comparison in comparisons:
        for i, (label, one) in enumerate(zip(comparison.labels, comparison.shown)):
            rows.append(_row(label, one, comparison.ratio, i == 0))
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    print("\n" + paint(title, "bold"))
    for number, row in enumerate(rows):
        cells = [cell.ljust(width) if i in (0, 1) else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))]
        if number > 0 and row[-1] != "0":
            cells[-1] = paint(cells[-1], "red")
        print("  " + "  ".join(cells).rstrip())
    for comparison in comparisons:
        if len(comparison.rounds) > 1:
            ratios = "  ".join(f"{comparison.ratio_of(pair):.2f}" for pair in comparison.rounds)
            print(f"  {counted(comparison.connections)}: {len(comparison.rounds)} rounds with ratios {ratios}; "
                  "the table shows the median one")
        if comparison.shown[0].generator_busy > 0.95:
            print(paint(f"  {counted(comparison.connections)}: the load generator was busy all the time; "
                        f"{comparison.labels[0]} may be faster than shown", "yellow"))


def print_drain(rounds, median):
    print("\n" + paint("Drain: an empty handler, nothing else to do", "bold"))
    print(f"  {median['queued']:,} deliveries that came in at {median['acks_per_s']:,.0f}/s (and were settled at "
          f"{median['settled_meanwhile_per_s']:,.0f}/s meanwhile) were settled at {median['settled_per_s']:,.0f}/s afterwards: "
          f"{median['ratio']:.2f}")
    if len(rounds) > 1:
        print(f"  {len(rounds)} rounds with ratios {'  '.join(format(one['ratio'], '.2f') for one in rounds)}; this is the median one")


def print_bars(bars, binding):
    print("\n" + paint("Bars", "bold") + ("" if binding else " (--quick: they only inform)"))
    for bar in bars:
        verdict = paint("met", "green") if bar["met"] else paint("MISSED", "red")
        print(f"  {bar['name']}: {bar['value']:.2f}, wanted at {'most' if bar.get('most') else 'least'} {bar['wanted']:.2f}: {verdict}")


def print_machine(facts):
    print(f"{facts['cpus']} CPUs ({facts['cpu']}), Linux {facts['kernel']}; data on {facts['disk']} ({facts['file_system']}), "
          f"an fsync of 4 KiB takes {facts['fsync_ms']:.2f} ms; load average {facts['load_average']}")


def warn(text):
    print(paint("warning: ", "yellow", sys.stderr) + text, file=sys.stderr)
