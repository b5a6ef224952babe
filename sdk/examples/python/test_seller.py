"""Runs natively, on the types that `./build` puts into bindings/: `.venv/bin/python -m unittest`."""

import sys
import unittest
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parent / "bindings"))

from componentize_py_types import Err, Ok
from wit_world.exports.bidding import (
    Answer_Accept, Answer_Counter, Answer_Reject, ComputeUnit, Inquiry, Position, Proposal, Request, Strength,
)
from wit_world.imports.types import Context, Fault_InvalidInput, Purpose, Quantity, Resource, Tier, Window

import seller

WINDOW = Window(0, 900_000)


def load(amount):
    return [Quantity(Resource.REQUESTS_PER_SECOND, amount)]


def inquiry(asks, tier=Tier.SILVER, agreed=0.0, sustainable=1000.0):
    proposal = Proposal(
        "session", 1, "backend", "frontend", Purpose.GROWTH, Strength.MANDATORY, WINDOW, load(asks))
    return Inquiry(proposal, Position(tier, load(100.0), load(20.0), load(agreed), load(sustainable)))


def cores(amount):
    return [Quantity(Resource.CPU_CORES, amount)]


REQUEST = Request("request", "frontend", Tier.GOLD, cores(0.5), 3, WINDOW, None, None, None)
UNIT = ComputeUnit("small", "provider", "here", cores(2.0), cores(4.0), 2, None, 0.1, 1.0, 0.05, 120_000)


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
        price = lambda free: seller.make_bid(REQUEST, replace(UNIT, free=cores(free)), 1.0).price_per_hour
        self.assertAlmostEqual(price(4.0), 0.025)
        self.assertAlmostEqual(price(2.0), 0.0375)

    def test_offers_no_more_than_is_free_or_asked_for(self):
        count = lambda free: seller.make_bid(REQUEST, replace(UNIT, free=cores(free)), 1.0).count
        self.assertEqual([count(4.0), count(1.2)], [3, 2])
        self.assertIsNone(seller.make_bid(REQUEST, replace(UNIT, free=cores(0.4)), 1.0))

    def test_keeps_the_conditions_of_the_request(self):
        for wrong in [
            replace(REQUEST, location="elsewhere"),
            replace(REQUEST, gpu_type="a100"),
            replace(REQUEST, resources=cores(3.0)),
            replace(REQUEST, budget_per_hour=0.01),
        ]:
            self.assertIsNone(seller.make_bid(wrong, UNIT, 1.0), wrong)

    def test_ranks_the_cheaper_of_two_higher(self):
        bids = [seller.make_bid(REQUEST, replace(UNIT, cost_per_hour=cost), 1.0) for cost in (0.2, 0.1)]
        dear, cheap = seller.Bidding().rank(context(), REQUEST, bids)
        self.assertGreater(cheap, dear)

    @patch("wit_world.imports.log.write")
    def test_tells_the_operator_when_nothing_fits(self, write):
        self.assertEqual(seller.Bidding().make_bids(context(), REQUEST, []), [])
        self.assertIn("frontend", write.call_args.args[1])


class Configuration(unittest.TestCase):
    def test_is_read_by_every_call(self):
        answers = seller.Bidding().respond(context('{"reserve": 0.5}'), [inquiry(90.0)])
        self.assertIsInstance(answers[0], Ok)
        self.assertEqual(answers[0].value.value.quantities, load(30.0))

    def test_out_of_range_is_a_fault(self):
        for wrong in ['{"reserve": 2}', '{"reserve": "much"}', '{"reserve": null}', '{"reserve": true}']:
            (answer,) = seller.Bidding().respond(context(wrong), [inquiry(1.0)])
            self.assertIsInstance(answer, Err)
            self.assertIsInstance(answer.value, Fault_InvalidInput)
        with self.assertRaises(Err):
            seller.Bidding().make_bids(context('{"surge": -1}'), REQUEST, [UNIT])


if __name__ == "__main__":
    unittest.main()
