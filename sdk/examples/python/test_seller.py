"""Runs natively, on the types that `./build` puts into bindings/: `.venv/bin/python -m unittest`."""

import sys
import unittest
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parent / "bindings"))

from componentize_py_types import Err, Ok
from wit_world.exports.answering import (
    Answer_Accept, Answer_Counter, Answer_Reject, Ask, Inquiry, Strength,
)
from wit_world.exports.selling import ComputeUnit, UnitResource
from wit_world.imports.market import Request
from wit_world.imports.types import Context, Fault_InvalidInput, Purpose, Quantity, ResourceKind, Tier, Window

import seller

WINDOW = Window(0, 900_000)


def inquiry(requested, tier=Tier.SILVER, agreed=0.0, sustainable=1000.0):
    ask = Ask(ResourceKind.REQUESTS_PER_SECOND, requested, 100.0, 20.0, agreed, sustainable)
    return Inquiry(
        "session", 1, "backend", tier, "frontend", Purpose.GROWTH, Strength.MANDATORY, WINDOW, [ask])


def cores(amount):
    return [Quantity(ResourceKind.CPU_CORES, amount)]


def free(amount):
    return [UnitResource(ResourceKind.CPU_CORES, 2.0, amount)]


REQUEST = Request("request", "frontend", Tier.GOLD, cores(0.5), 3, WINDOW, None, None, None)
UNIT = ComputeUnit("small", "provider", "here", free(4.0), 2, None, 0.1, 1.0, 0.05, 120_000)


def context(configuration="{}"):
    return Context(0, 1, configuration)


class Answers(unittest.TestCase):
    def offered(self, *args, **kwargs):
        answer = seller.answer(inquiry(*args, **kwargs), reserve=0.1)
        self.assertIsInstance(answer, Answer_Counter)
        return answer.value.quantities[0].amount

    def test_accepts_what_fits(self):
        self.assertEqual(seller.answer(inquiry(70.0), 0.1), Answer_Accept())
        self.assertEqual(seller.answer(inquiry(80.0, tier=Tier.GOLD), 0.1), Answer_Accept())
        self.assertEqual(seller.answer(inquiry(0.0, sustainable=0.0), 0.1), Answer_Accept())

    def test_counters_with_what_does(self):
        self.assertEqual(self.offered(90.0), 70.0)
        self.assertEqual(self.offered(90.0, tier=Tier.GOLD), 80.0)
        self.assertEqual(self.offered(60.0, sustainable=50.0), 50.0)

    def test_keeps_what_is_agreed_out_of_the_reserve(self):
        self.assertEqual(self.offered(90.0, agreed=75.0), 75.0)

    def test_rejects_where_nothing_does(self):
        self.assertIsInstance(seller.answer(inquiry(10.0, sustainable=0.0), 0.1), Answer_Reject)


class Bids(unittest.TestCase):
    def test_prices_the_share_and_what_is_left(self):
        price = lambda left: seller.make_bid(REQUEST, replace(UNIT, resources=free(left)), 1.0).price_per_hour
        self.assertAlmostEqual(price(4.0), 0.025)
        self.assertAlmostEqual(price(2.0), 0.0375)

    def test_offers_no_more_than_is_free_or_asked_for(self):
        count = lambda left: seller.make_bid(REQUEST, replace(UNIT, resources=free(left)), 1.0).count
        self.assertEqual([count(4.0), count(1.2)], [3, 2])
        self.assertIsNone(seller.make_bid(REQUEST, replace(UNIT, resources=free(0.4)), 1.0))

    def test_keeps_the_conditions_of_the_request(self):
        for wrong in [
            replace(REQUEST, location="elsewhere"),
            replace(REQUEST, gpu_type="a100"),
            replace(REQUEST, resources=cores(3.0)),
            replace(REQUEST, resources=[Quantity(ResourceKind.MEMORY_BYTES, 1.0)]),
            replace(REQUEST, budget_per_hour=0.01),
        ]:
            self.assertIsNone(seller.make_bid(wrong, UNIT, 1.0), wrong)

    def test_ranks_the_cheaper_of_two_higher(self):
        bids = [seller.make_bid(REQUEST, replace(UNIT, cost_per_hour=cost), 1.0) for cost in (0.2, 0.1)]
        dear, cheap = seller.Ranking().rank(context(), REQUEST, bids)
        self.assertGreater(cheap, dear)

    @patch("wit_world.imports.log.write")
    def test_tells_the_operator_when_nothing_fits(self, write):
        self.assertEqual(seller.Selling().make_bids(context(), REQUEST, []), [])
        self.assertIn("frontend", write.call_args.args[1])


class Configuration(unittest.TestCase):
    def test_is_read_by_every_call(self):
        answers = seller.Answering().respond(context('{"reserve": 0.5}'), [inquiry(90.0)])
        self.assertIsInstance(answers[0], Ok)
        self.assertEqual(answers[0].value.value.quantities, [Quantity(ResourceKind.REQUESTS_PER_SECOND, 30.0)])

    def test_out_of_range_is_a_fault(self):
        for wrong in ['{"reserve": 2}', '{"reserve": "much"}', '{"reserve": null}', '{"reserve": true}']:
            (answer,) = seller.Answering().respond(context(wrong), [inquiry(1.0)])
            self.assertIsInstance(answer, Err)
            self.assertIsInstance(answer.value, Fault_InvalidInput)
        with self.assertRaises(Err):
            seller.Selling().make_bids(context('{"surge": -1}'), REQUEST, [UNIT])

    def test_is_checked_before_it_is_accepted(self):
        self.assertIsNone(seller.Metadata().validate_configuration('{"reserve": 0.5}'))
        with self.assertRaises(Err) as raised:
            seller.Metadata().validate_configuration('{"surge": true}')
        self.assertIn("surge is True", raised.exception.value)


if __name__ == "__main__":
    unittest.main()
