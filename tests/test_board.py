"""Figures of several workers: summed over all, or over those that live; counts outlive their workers."""

import os

import pytest

from chunkserve.board import WIDTH, Board

ACROSS = ("grow", "sum", "max")


def test_rows_are_put_together_each_in_its_way() -> None:
    board = Board(3)
    assert board.totals(ACROSS) == [0, 0, 0]
    rows = [board.row(number) for number in (board.take(), board.take()) if number is not None]
    rows[0].write((1, 10, 100), ACROSS)
    rows[1].write((2, 20, 70), ACROSS)
    assert board.totals(ACROSS) == [3, 30, 100]
    rows[0].write((5, 1, 100), ACROSS)
    assert board.totals(ACROSS) == [7, 21, 100]


def test_counts_of_the_dead_stay_and_are_gone_on_from() -> None:
    board = Board(1)
    number = board.take()
    assert number is not None
    assert board.take() is None
    board.row(number).write((4, 9, 9), ACROSS)
    board.give_back(number)
    assert board.totals(ACROSS) == [4, 0, 0]
    assert board.take() == number
    successor = board.row(number)
    assert board.totals(ACROSS) == [4, 0, 0]
    successor.write((1, 3, 3), ACROSS)
    assert board.totals(ACROSS) == [5, 3, 3]
    successor.write((2, 3, 3), ACROSS)
    assert board.totals(ACROSS) == [6, 3, 3]


def test_what_a_forked_process_writes_is_seen() -> None:
    board = Board(2)
    pid = os.fork()
    if not pid:
        board.row(1).write((7, 7, 7), ACROSS)
        os._exit(0)
    os.waitpid(pid, 0)
    assert board.totals(ACROSS) == [7, 7, 7]


def test_more_figures_than_a_row_has_are_refused() -> None:
    board = Board(2)
    with pytest.raises((IndexError, ValueError)):
        board.row(0).write((1.0,) * (WIDTH + 1), ("sum",) * (WIDTH + 1))
