"""Runs as text: a line each, or one for many."""

from __future__ import annotations

from tests.notebook.conftest import Shell


def test_a_run_tells_status_steps_time_and_error(shell: Shell) -> None:
    shell.run("%%pocketflex\n[Flow(plan, name='good'), Flow(fails, name='bad')]")

    assert "good: done, 1 step, " in shell.said
    assert "bad: failed, 1 step, " in shell.said and "ZeroDivisionError: division by zero" in shell.said


def test_many_runs_are_one_line_with_a_bar(shell: Shell) -> None:
    shell.run("flow = Flow(plan, name='flow')\n%pocketflex run flow -n 40")

    assert shell.said.splitlines()[-1] == f"flow: 40 done  {'█' * 20} 100% 40/40"


def test_progress_and_questions_are_told(shell: Shell) -> None:
    from pocketflex_nb.notebook.reports.text_view import TextView

    shell.run("from pocketflex_nb import ask, emit\n@node\nasync def asks(shared):\n"
              "    emit('progress', done=3, total=4); await ask('Go on?', ['yes'])")
    shell.run("%pocketflex run asks --bg --view none -o run")
    run = shell.names["run"]
    while not run.state().asking:
        assert not run.done()

    told = TextView([run], None, is_kernel=False).text()

    assert "75% 3/4" in told and "asks: Go on? (%pocketflex answer asks ...)" in told
