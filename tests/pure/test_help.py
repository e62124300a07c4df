"""The help of the shell names every command's models."""

import pytest

from ml_backend.__main__ import COMMANDS, main
from ml_backend.commands import evaluate, train


@pytest.mark.parametrize(("command", "modules"), [("train", train.MODULES), ("evaluate", evaluate.MODULES)])
def test_help_names_every_model(command, modules, capsys):
    assert all(word in COMMANDS[command] for word in modules)
    with pytest.raises(SystemExit):
        main([command, "--help"])
    shown = capsys.readouterr().out
    for word in modules:
        assert f"python -m ml_backend {command} {word}" in shown


@pytest.mark.parametrize("word", [*train.MODULES])
def test_every_training_explains_its_options(word, capsys):
    with pytest.raises(SystemExit):
        main(["train", word, "--help"])
    shown = capsys.readouterr().out
    assert "--out" in shown and f"train {word}" in shown
