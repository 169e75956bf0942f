"""A worker holds leases by number: it may rescue and claim its own task while an earlier attempt still runs."""

import asyncio

from coremachine.runtime.leases.lease_table import LeaseTable


def claim(held: LeaseTable, number: int) -> None:
    with held.claiming("task") as won:
        won["1-0"] = number


def test_f48_the_end_of_an_earlier_lease_drops_no_later_one() -> None:
    held, heard = LeaseTable(), list[object]()
    claim(held, 1)
    claim(held, 2)
    held.attach(heard.append)
    held.drop("task", [("1-0", 1)])
    assert not held.empty
    assert heard[-1] == {"kind": "drop", "of": "task", "leases": [("1-0", 1)]}
    held.drop("task", [("1-0", 1), ("1-0", 2)])
    assert held.empty


def test_a_wish_to_stop_reaches_the_later_lease_after_the_earlier_one_has_ended() -> None:
    held, stopped = LeaseTable(), list[str]()
    claim(held, 1)
    claim(held, 2)
    held.set_stop_functions({"1-0": stopped.append})
    held.drop("task", [("1-0", 1)])
    held.ask_to_stop({"1-0": "fail_fast"})
    assert stopped == ["fail_fast"]


def test_a_handler_that_began_under_an_earlier_lease_has_not_begun_under_the_later_one() -> None:
    held, heard = LeaseTable(), list[dict[str, object]]()
    claim(held, 1)
    held.begin_task("1-0", 1)
    claim(held, 2)
    held.begin_task("1-0", 1)
    held.attach(lambda message: heard.append(dict(message)))
    assert {"kind": "begin", "of": "task", "keys": []} in heard


async def test_who_watches_a_lease_is_told_of_its_own_end() -> None:
    held = LeaseTable()
    claim(held, 1)
    first = held.done_future("task", "1-0", 1)
    claim(held, 2)
    second = held.done_future("task", "1-0", 2)
    held.drop("task", [("1-0", 1)])
    await asyncio.wait_for(first, 1)
    assert not second.done()
