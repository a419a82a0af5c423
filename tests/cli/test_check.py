from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import EXAMPLES, FILES, Run


def test_the_examples_are_in_order(run: Run) -> None:
    ended = run("check", *map(str, sorted(EXAMPLES.glob("*.route"))))
    assert ended.code == 0
    assert "space segmentation, 62 nodes, 149 routes, 62 gates, 1 net" in ended.out


def test_standard_input_is_a_file_too(run: Run) -> None:
    text = (FILES / "tiny.route").read_text()
    assert run("check", "-", stdin=text).out.startswith("<stdin>: space tiny, ")
    ended = run("check", "-", stdin="space {")
    assert ended.code == 1 and "--> <stdin>:1" in ended.err


def test_errors_of_the_graph_are_found(run: Run, files: Path) -> None:
    text = (files / "tiny.route").read_text().replace("conv(1, routes, bias)", "conv(1, routes + 1, bias)")
    (files / "tiny.route").write_text(text)
    ended = run("check", "tiny.route")
    assert ended.code == 1 and ended.out == "" and "RS403" in ended.err


def test_every_net_is_held(run: Run, files: Path) -> None:
    with (files / "tiny.route").open("a") as file:
        file.write("net sideways in tiny {\n  walk x[0, s4]: up\n}\nnet off in tiny {\n  row keep[7, s4]\n}\n")
    ended = run("check", "tiny.route")
    assert ended.code == 1 and ended.out == "" and ended.err.count("error[RS70") == 2


def test_every_space_of_a_file_is_checked(run: Run, files: Path) -> None:
    text = (files / "tiny.route").read_text()
    second = text.replace("space tiny", "space second").replace("net straight in tiny", "net other in second")
    (files / "both.route").write_text(text + second)
    ended = run("check", "both.route", "--set", "width=8")
    assert ended.code == 0
    assert [line.split(",")[0].split()[-1] for line in ended.out.splitlines()] == ["tiny", "second"]
    (files / "both.route").write_text(text + second.replace("scale <= layer", "scale <= layers"))
    ended = run("check", "both.route")
    assert ended.code == 1 and "space tiny" in ended.out and "space second" not in ended.out


def test_nets_of_an_imported_space_are_checked(run: Run, files: Path) -> None:
    (files / "nets.route").write_text('from "tiny.route" import tiny\nnet a in tiny {\n  walk x[0, s4]: keep^9\n}\n')
    ended = run("check", "nets.route")
    assert ended.code == 1 and "RS703" in ended.err and "nets.route:3" in ended.err


def test_warnings_are_shown_and_do_not_fail(run: Run, files: Path) -> None:
    text = (files / "tiny.route").read_text().replace("  op norm", "  op unused = relu\n  op norm")
    (files / "tiny.route").write_text(text)
    ended = run("check", "tiny.route")
    assert ended.code == 0 and "space tiny" in ended.out and "warning" in ended.err
    found = json.loads(run("check", "tiny.route", "--json").out)
    assert [one["severity"] for one in found] == ["warning"] and found[0]["labels"][0]["path"] == "tiny.route"


def test_json_collects_all_files(run: Run, files: Path) -> None:
    (files / "worse.route").write_text("op a = conv(3\n")
    ended = run("check", "broken.route", "worse.route", "tiny.route", "nowhere.route", "--json")
    assert ended.code == 1 and ended.err == ""
    paths = {label["path"] for one in json.loads(ended.out) for label in one["labels"]}
    assert {"broken.route", "worse.route"} <= paths
    assert "cannot read `nowhere.route`" in ended.out


@pytest.mark.parametrize("policy", ["live=always", "cost=dynamic_routing_code"])
def test_policies_can_be_set(policy: str, run: Run) -> None:
    assert run("check", "tiny.route", "--set", policy).code == 0
    assert run("show", "tiny.route", "--set", policy).out.count(policy.split("=")[1]) >= 1


def test_of_many_findings_each_is_shown_once(run: Run, files: Path) -> None:
    text = (files / "tiny.route").read_text()
    place = text.index("  output")
    outputs = "".join(f"  output extra{i} = keep[99, {i}0]\n" for i in range(60))
    (files / "tiny.route").write_text(text[:place] + outputs + text[place:])
    ended = run("check", "tiny.route")
    places = [line for line in ended.err.splitlines() if "-->" in line]
    assert ended.code == 1 and len(places) == len(set(places)) == 50
    assert "and 10 more findings, which are not shown" in ended.err
