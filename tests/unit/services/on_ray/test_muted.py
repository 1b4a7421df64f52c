from __future__ import annotations

import io

from services.on_ray.muted import Muted


def test_a_line_with_the_words_is_left_out_with_its_end():
    stream = io.StringIO()
    muted = Muted(stream, "failed")
    for line in ("before", "the task failed, again", "", "after"):
        print(line, file=muted)
    assert stream.getvalue() == "before\n\nafter\n"


def test_a_text_that_brings_its_own_end_takes_no_other_line_with_it():
    stream = io.StringIO()
    muted = Muted(stream, "failed")
    muted.write("the task failed\n")
    muted.write("\n")
    assert stream.getvalue() == "\n"


def test_everything_else_is_the_streams_own():
    stream = io.StringIO("held")
    assert Muted(stream, "failed").getvalue() == "held"
    assert Muted(stream, "failed").isatty() is False
