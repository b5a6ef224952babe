"""A bidder that sells dearer the less it has left, and keeps some room for gold.

The component exports the classes `Metadata` and `Bidding`; `bindings/`, which `./build` makes from the
contract (wit/), has their types. A fault of a whole call is raised as `Err(fault)`; where each item has its
own answer, it is `Ok(answer)` or `Err(fault)`.
"""

import json

from componentize_py_types import Err, Ok
from wit_world.exports import bidding, metadata
from wit_world.exports.bidding import Answer_Accept, Answer_Counter, Answer_Reject, Bid, Guarantees, Offer
from wit_world.imports import log
from wit_world.imports.types import Fault_InvalidInput, Quantity, Resource, Tier

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "reserve": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.1,
                    "description": "the share of its capacity that only a gold service promises"},
        "surge": {"type": "number", "minimum": 0, "maximum": 10, "default": 1,
                  "description": "what a unit of which nothing is left would cost more, as a share of its cost"},
    },
}


class Metadata:
    def describe(self):
        summary = "Sells dearer the less it has left, and keeps some room for gold."
        return metadata.Description("surge-seller", "0.1.0", summary, json.dumps(SCHEMA))


class Bidding:
    def respond(self, ctx, inquiries):
        try:
            reserve = setting(ctx, "reserve")
        except Err as fault:
            return [fault] * len(inquiries)
        return [Ok(answer(inquiry, reserve)) for inquiry in inquiries]

    def make_bids(self, ctx, request, inventory):
        surge = setting(ctx, "surge")
        bids = [bid for unit in inventory if (bid := make_bid(request, unit, surge))]
        if not bids:
            log.write(log.Level.INFO, f"nothing for {request.service}: none of {len(inventory)} units fits")
        return bids

    def rank(self, ctx, request, bids):
        return [bid.guarantees.availability * bid.performance / (bid.price_per_hour + 1e-9) for bid in bids]


def answer(inquiry, reserve):
    """Accepts what fits, counters with what does of it, and rejects where nothing does."""
    asks, position = inquiry.proposal.asks, inquiry.position
    kept = 0 if position.tier == Tier.GOLD else reserve
    offer = []
    for ask in asks:
        capacity, committed, agreed, sustainable = (
            amount(quantities, ask.resource)
            for quantities in (position.capacity, position.committed, position.agreed, position.sustainable)
        )
        # What is agreed already is not taken back for the reserve's sake.
        room = max(capacity * (1 - kept) - committed, min(agreed, capacity - committed), 0)
        offer.append(Quantity(ask.resource, min(ask.amount, room, sustainable)))
    if offer == asks:
        return Answer_Accept()
    if any(offered.amount <= 0 < ask.amount for offered, ask in zip(offer, asks)):
        return Answer_Reject("there is no room left")
    return Answer_Counter(Offer(offer, "that is what there is room for"))


def make_bid(request, unit, surge):
    """A bid for as many replicas as fit on what is free of the unit, or None."""
    elsewhere = request.location not in (None, unit.location)
    if elsewhere or request.gpu_type not in (None, unit.gpu_type):
        return None
    wanted = [q for q in request.resources if q.amount > 0 and q.resource != Resource.REQUESTS_PER_SECOND]
    has = [amount(unit.has, q.resource) for q in wanted]
    if not wanted or any(h < q.amount for h, q in zip(has, wanted)):
        return None
    # A replica pays for the resource of which it takes the largest share.
    share = max(q.amount / h for h, q in zip(has, wanted))
    fit = unit.count * min(h // q.amount for h, q in zip(has, wanted))
    free = min(fit, *(amount(unit.free, q.resource) // q.amount for q in wanted))
    count = min(request.count, free)
    if count < 1:
        return None
    price = unit.cost_per_hour * share * (1 + surge * (1 - free / fit))
    # The budget is for all replicas together; a bid that cannot serve one is of no use.
    if request.budget_per_hour is not None and price > request.budget_per_hour:
        return None
    guarantees = Guarantees(1 - unit.interruption_rate, unit.interruption_rate, unit.interruption_notice)
    return Bid(unit.id, unit.provider, unit.location, int(count), price, unit.performance, guarantees)


def amount(quantities, resource):
    return next((q.amount for q in quantities if q.resource == resource), 0)


def setting(ctx, name):
    """A number of the configuration, or the default of the schema."""
    rule = SCHEMA["properties"][name]
    configuration = json.loads(ctx.configuration or "{}")
    value = configuration.get(name, rule["default"])
    if type(value) not in (int, float) or not rule["minimum"] <= value <= rule["maximum"]:
        text = f"configuration: {name} is {value!r}: it must lie between {rule['minimum']} and {rule['maximum']}"
        raise Err(Fault_InvalidInput(text))
    return value
