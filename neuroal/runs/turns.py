"""Who is next: people take turns, so that one of them who asks a lot holds up nobody else."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from neuroal.errors import UserError


class Owned(Protocol):
    """Something that a person waits for."""

    @property
    def owner(self) -> str:
        """Who; what has no owner is served as it comes."""


T = TypeVar("T", bound=Owned)


def in_turn(waiting: Iterable[T], going: Iterable[str]) -> list[T]:
    """First come first served among people, one of each in turn.

    Args:
        waiting: in the order of arrival.
        going: the owners of what is being done, who have had a turn.
    """
    turns = dict.fromkeys(going, 0)
    ranked = []
    for order, each in enumerate(waiting):
        turn = turns[each.owner] = turns.get(each.owner, -1) + 1
        ranked.append((turn if each.owner else 0, order, each))
    return [each for _, _, each in sorted(ranked, key=lambda r: r[:2])]


@dataclass(frozen=True, eq=False)
class Ticket:
    """A place in the line, for as long as :meth:`Turns.ticket` gives it."""

    owner: str
    _turns: Turns

    def place(self) -> int:
        """How many have to go on before it is this one's turn; from 0 on it is, until the ticket is given back."""
        return self._turns.place(self)


class Turns:
    """A few at a time, and of each person one. Nobody is woken: whoever waits asks for the place now and then, and can
    show it meanwhile.

    Args:
        at_once: how many go at the same time.
        each: tickets that one person may have; a page that asks anew gives its last one back a moment later.
        most: tickets of all.
    """

    def __init__(self, at_once: int, each: int = 2, most: int = 20) -> None:
        self.at_once, self.each, self.most = at_once, each, most
        self._waiting: list[Ticket] = []
        self._going: list[Ticket] = []
        self._lock = threading.Lock()

    @contextmanager
    def ticket(self, owner: str) -> Iterator[Ticket]:
        """A place at the end of the line, given back in the end.

        Raises:
            UserError: this person, or everybody, has too many.
        """
        ticket = Ticket(owner, self)
        with self._lock:
            self._refuse(owner, [*self._waiting, *self._going])
            self._waiting.append(ticket)
            self._order()
        try:
            yield ticket
        finally:
            with self._lock:
                (self._going if ticket in self._going else self._waiting).remove(ticket)

    def place(self, ticket: Ticket) -> int:
        """See :meth:`Ticket.place`."""
        with self._lock:
            if ticket in self._going:
                return 0
            room, busy = self.at_once - len(self._going), {each.owner for each in self._going if each.owner}
            able = [each for each in self._waiting if each.owner not in busy]  # the rest keep their room for others
            if ticket not in able[: max(0, room)]:
                return max(1, self._waiting.index(ticket) + 1 - room)
            self._waiting.remove(ticket)
            self._going.append(ticket)
            self._order()
            return 0

    def _order(self) -> None:
        """Not when one is done: whoever was next by then stays it."""
        self._waiting = in_turn(self._waiting, (each.owner for each in self._going))

    def _refuse(self, owner: str, there: Sequence[Ticket]) -> None:
        if owner and sum(ticket.owner == owner for ticket in there) >= self.each:
            raise UserError(f"You have {self.each} questions being answered already; wait for one, or stop it.")
        if len(there) >= self.most:
            raise UserError(f"{self.most} questions of others wait to be answered; try again in a minute.")
