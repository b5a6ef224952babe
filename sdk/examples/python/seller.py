"""Three roles of a negotiation: answers that keep some room for gold, a seller that charges more the less it has
left, and a ranking by performance for the price.

The component exports the classes `Metadata`, `Answering`, `Selling` and `Ranking`; `bindings/`, which `./build`
makes from the contract (wit/), has their types. A fault of a whole call is raised as `Err(fault)`; where each item
has its own answer, it is `Ok(answer)` or `Err(fault)`.
"""

import json

from componentize_py_types import Err, Ok
from wit_world.exports import metadata
from wit_world.exports.answering import Answer_Accept, Answer_Counter, Answer_Reject, Offer
from wit_world.imports import log
from wit_world.imports.market import Bid, Guarantees
from wit_world.imports.types import Fault_InvalidInput, Quantity, ResourceKind, Tier

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
        summary = "Charges more the less it has left, and keeps some room for gold."
        return metadata.Description("surge-seller", "0.1.0", summary, json.dumps(SCHEMA))

    def validate_configuration(self, configuration):
        try:
            for name in SCHEMA["properties"]:
                setting(configuration, name)
        except ValueError as error:
            raise Err(str(error))


class Answering:
    def respond(self, ctx, inquiries):
        try:
            reserve = setting(ctx.configuration, "reserve")
        except ValueError as error:
            return [Err(Fault_InvalidInput(str(error)))] * len(inquiries)
        return [Ok(answer(inquiry, reserve)) for inquiry in inquiries]


class Selling:
    def make_bids(self, ctx, request, inventory):
        try:
            surge = setting(ctx.configuration, "surge")
        except ValueError as error:
            raise Err(Fault_InvalidInput(str(error)))
        bids = [bid for unit in inventory if (bid := make_bid(request, unit, surge))]
        if not bids:
            log.write(log.Level.INFO, f"nothing for {request.service}: none of {len(inventory)} units fits")
        return bids


class Ranking:
    def rank(self, ctx, request, bids):
        return [bid.guarantees.availability * bid.performance / (bid.price_per_hour + 1e-9) for bid in bids]


def answer(inquiry, reserve):
    """Accepts what fits, counters with the part that fits, and rejects where nothing does."""
    kept = 0 if inquiry.tier == Tier.GOLD else reserve
    quantities = []
    for ask in inquiry.asks:
        # The reserve takes back nothing that is agreed already.
        room = max(ask.capacity * (1 - kept) - ask.committed, min(ask.agreed, ask.capacity - ask.committed), 0)
        quantities.append(Quantity(ask.kind, min(ask.requested, room, ask.sustainable)))
    offered = list(zip(quantities, inquiry.asks))
    if all(quantity.amount == ask.requested for quantity, ask in offered):
        return Answer_Accept()
    if any(quantity.amount <= 0 < ask.requested for quantity, ask in offered):
        return Answer_Reject("there is no room left")
    return Answer_Counter(Offer(quantities, "that is what there is room for"))


def make_bid(request, unit, surge):
    """A bid for as many replicas as fit on what is free of the unit, or None."""
    elsewhere = request.location not in (None, unit.location)
    if elsewhere or request.gpu_type not in (None, unit.gpu_type):
        return None
    wanted = [q for q in request.resources if q.amount > 0 and q.kind != ResourceKind.REQUESTS_PER_SECOND]
    has = {resource.kind: resource for resource in unit.resources}
    if not wanted or any(q.kind not in has or has[q.kind].amount < q.amount for q in wanted):
        return None
    # A replica pays for the resource of which it takes the largest share.
    share = max(q.amount / has[q.kind].amount for q in wanted)
    fit = unit.count * min(has[q.kind].amount // q.amount for q in wanted)
    free = min(fit, *(has[q.kind].free // q.amount for q in wanted))
    count = min(request.count, free)
    if count < 1:
        return None
    price = unit.cost_per_hour * share * (1 + surge * (1 - free / fit))
    # The budget is for all replicas together; a bid that cannot serve one is of no use.
    if request.budget_per_hour is not None and price > request.budget_per_hour:
        return None
    guarantees = Guarantees(1 - unit.interruption_rate, unit.interruption_rate, unit.interruption_notice_ms)
    return Bid(unit.id, unit.provider, unit.location, int(count), price, unit.performance, guarantees)


def setting(configuration, name):
    """A number of the configuration, or the default of the schema."""
    rule = SCHEMA["properties"][name]
    value = json.loads(configuration or "{}").get(name, rule["default"])
    if type(value) not in (int, float) or not rule["minimum"] <= value <= rule["maximum"]:
        least, most = rule["minimum"], rule["maximum"]
        raise ValueError(f"configuration: {name} is {value!r}: it must lie between {least} and {most}")
    return value
