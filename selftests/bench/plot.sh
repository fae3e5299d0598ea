#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Plot what zcp-bench found: DIR/results.json and DIR/latency-*.dat to
# DIR/*.svg.
#
# usage: plot.sh DIR
#
# Cases whose names differ by a size only ("loopback-7MB", "loopback-1GB") are
# the points of a plot of each metric, methods are its lines, and the bars are
# minimum and maximum.  Cases "streams-N" are points by N.  A file
# latency-CASE.METHOD.dat has lines of microseconds and the share of files that
# took no longer, interval-CASE.METHOD.dat seconds and Gbit/s.
set -eu

[ $# -eq 1 ] || {
	sed -n '/^# usage/s/^# //p' "$0" >&2
	exit 2
}
out=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Writes data files and a script for gnuplot.
python3 - "$out" "$work" <<'EOF'
import collections, glob, json, os, re, sys

out, work = sys.argv[1:]
units = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
         "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9}
titles = {"time": "time", "time_10000": "ms for 10,000 messages", "throughput": "Gbit/s", "cpu_per_gb": "CPU seconds per GB", "files_per_s": "files/s",
          "messages_per_s": "messages/s", "p50": "median latency, µs",
          "p99": "99th percentile of latency, µs"}
# The same colour for a method in every plot.
colours = {"read-send-64k": "#999999", "read-send-1m": "#555555", "mmap-send": "#c7a76c",
           "msg-zerocopy": "#8c564b", "sendfile": "#1f77b4", "splice": "#17becf",
           "uring-splice": "#9467bd", "uring-send-zc": "#e377c2", "zcp-xfer": "#ff7f0e",
           "zcp-job": "#d62728", "ceiling": "#2ca02c"}
others = ["#bcbd22", "#7f7f7f", "#aec7e8", "#ffbb78", "#98df8a", "#c5b0d5"]

def style(method, number):
    colour = colours.get(method, others[number % len(others)])
    return 'lc rgb "%s" lw %s' % (colour, 3 if method.startswith("zcp") else 1.5)

def place(case):
    """The plot a case belongs to, and its place on the axis."""
    m = re.fullmatch(r"streams-(\d+)", case)
    if m:
        return "streams", int(m[1]), "connections"
    m = re.fullmatch(r"(.*?)-?(\d+) ?(%s)(-.*)?" % "|".join(units), case)
    if m:
        return (m[1] + (m[4] or "")).strip("-"), int(m[2]) * units[m[3]], "bytes"
    return None

plots = collections.defaultdict(lambda: collections.defaultdict(list))
for row in json.load(open(os.path.join(out, "results.json"))):
    found = place(row["case"])
    if found and row["metric"] in titles and row["median"] is not None:
        group, x, axis = found
        plots[row["suite"], group, row["metric"], axis][row["method"]].append(
            (x, row["median"], row["min"], row["max"]))

script = ["set terminal svg size 900,540 dynamic background rgb 'white' font 'sans,12'",
          "set key outside right", "set grid", "set pointsize 0.6", "set format x '%.0s %c'"]
number = 0
for (suite, group, metric, axis), lines in sorted(plots.items()):
    if max(len(points) for points in lines.values()) < 2:
        continue
    name = "-".join(filter(None, (suite, group if group != suite else "", metric)))
    script.append("set output '%s/%s.svg'" % (out, name))
    script.append("set title \"%s\" noenhanced" % " ".join(filter(None, (suite, group))))
    script.append("set ylabel '%s'" % titles[metric])
    script.append("set xlabel '%s'" % axis)
    few = max(x for points in lines.values() for x, *_ in points) < 10
    script.append("unset logscale x; set xtics 1" if few else "set logscale x")
    script.append("set logscale y" if metric.endswith("_per_s") or metric in ("p50", "p99") or
                  metric.startswith("time")
                  else "unset logscale y; set yrange [0:*]")
    parts = []
    for method, points in lines.items():
        number += 1
        path = "%s/%d" % (work, number)
        with open(path, "w") as f:
            f.writelines("%g %g %g %g\n" % p for p in sorted(points))
        parts.append("'%s' using 1:2:3:4 with yerrorlines pt 7 %s title \"%s\" noenhanced"
                     % (path, style(method, number), method))
    script.append("plot " + ", ".join(parts))
    script.append("set yrange [*:*]; set xtics autofreq")

cases = collections.defaultdict(list)
for path in sorted(glob.glob(os.path.join(out, "latency-*.dat"))):
    case, _, method = os.path.basename(path)[len("latency-"):-len(".dat")].rpartition(".")
    cases[case].append((method, path))
for case, files in cases.items():
    script.append("set output '%s/%s.svg'" % (out, "-".join(filter(None, ("latency", case)))))
    script.append("set title \"latency %s\" noenhanced" % case)
    script.append("set logscale x; unset logscale y; set yrange [0:1]")
    script.append("set xlabel 'µs'; set ylabel 'share of files'; set format x '%g'")
    script.append("plot " + ", ".join(
        "'%s' using 1:2 with lines %s title \"%s\" noenhanced" % (path, style(method, i), method)
        for i, (method, path) in enumerate(files)))
# Memory over time, of study-d: milliseconds, bytes held, bytes used.
cases = collections.defaultdict(list)
for path in sorted(glob.glob(os.path.join(out, "memory-*.dat"))):
    case, _, method = os.path.basename(path)[len("memory-"):-len(".dat")].rpartition(".")
    cases[case].append((method, path))
for case, files in cases.items():
    script.append("set output '%s/memory-%s.svg'" % (out, case))
    script.append("set title \"memory %s\" noenhanced" % case)
    script.append("unset logscale; set yrange [0:*]; set xrange [*:*]; set format x '%g'")
    script.append("set xlabel 'ms'; set ylabel 'MB'")
    script.append("plot " + ", ".join(
        "'%s' using 1:($2/1e6) with lines %s title \"%s\" noenhanced"
        % (path, style(method, i), method) for i, (method, path) in enumerate(files)) +
        ", '%s' using 1:($3/1e6) with lines lc rgb 'black' dt 2 title \"used\"" % files[0][1])
# Speed over time, of study-b: seconds, Gbit/s.
cases = collections.defaultdict(list)
for path in sorted(glob.glob(os.path.join(out, "interval-*.dat"))):
    case, _, method = os.path.basename(path)[len("interval-"):-len(".dat")].rpartition(".")
    if os.path.getsize(path):
        cases[case].append((method, path))
for case, files in cases.items():
    script.append("set output '%s/interval-%s.svg'" % (out, case))
    script.append("set title \"by interval %s\" noenhanced" % case)
    script.append("unset logscale; set yrange [0:*]; set xrange [*:*]; set format x '%g'")
    script.append("set xlabel 's'; set ylabel 'Gbit/s'")
    script.append("plot " + ", ".join(
        "'%s' using 1:2 with linespoints pt 7 %s title \"%s\" noenhanced"
        % (path, style(method, i), method) for i, (method, path) in enumerate(files)))
open(os.path.join(work, "script"), "w").write("\n".join(script) + "\n")
EOF
gnuplot "$work/script"
