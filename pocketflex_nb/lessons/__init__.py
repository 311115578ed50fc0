"""The exercises of the tutorials, and the checks of their answers: ``lesson_01.py`` belongs to ``01_*.ipynb``, and so on.

How to add an exercise: write a generator that takes the reader's answers and yields what is right about them, in the order in which
one would look, and give it its number, its title and three hints, from a nudge to all but the answer::

    from pocketflex_nb.lessons.exercise import Checked, exercise, point, slip, tried

    @exercise("01.2", "Count the words", hints=("One step writes.", "`post` gets it as `exec_res`", "shared[...] = exec_res"))
    def _count(flow: Any) -> Checked:
        run = tried(flow, {"text": "two words"})
        yield point(run.error is None, "It runs.", f"It ended with {run.error!r}.")
        yield slip(run.store.get("words") == 9, "That counts characters: `text.split()` gives the words.")
        yield point(run.store.get("words") == 2, "It counts the words.", "`words` should be 2 here.")

`point` is shown as right or stops the check with its hint; `slip` is a mistake people make, shown only when it was made. Backticks
mark code. A new lesson gets a row in `exercise.LESSONS`. The cell that the reader edits holds ``...`` for what is missing: `check`
calls that "not yet" without asking the generator. In the notebook that cell has the tag ``exercise-01.2``, and the next one is
``check("01.2", flow)``. Right answers and ten wrong ones stand beside the tests, in ``tests/notebooks/answers/``, and nowhere in the
package: ``tests/notebooks/test_exercises.py`` puts each of them into the tagged cell, and looks at what the check says.
"""
