//! Computes the maximum cost of a loop iteration: its most expensive path.

use wasmparser::Operator;

/// The cost of an instruction for which the engine calls a library function.
const LIBRARY_CALL: i64 = 64;

/// The cost of an iteration itself, and of a call itself.
const TURN: i64 = 1;

/// The code between two checks of the count: an iteration of a loop without its inner loops, or the function
/// without its loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// The cost of its most expensive path, regardless of the number of paths: an interpreter's loop consists
    /// almost entirely of branches.
    pub(super) cost: i64,
    /// Whether it calls a function, also in an inner loop.
    pub(super) calls: bool,
    /// The enclosing loop.
    pub(super) around: Option<usize>,
}

/// Returns the function's own stretch, and those of the loops in the order of their beginnings.
pub(super) fn stretches(operators: &[Operator<'_>]) -> (Stretch, Vec<Stretch>) {
    let mut walk = Walk::new();
    operators.iter().for_each(|operator| walk.step(operator));
    (walk.whole, walk.loops)
}

/// The target of a branch.
struct Label {
    /// Number of open loops at the target.
    depth: usize,
    /// Whether it leads to the beginning of a loop, where another iteration begins, and not to the end of a
    /// block.
    is_loop: bool,
    /// The most expensive path of the branches to it so far; `None` if there is none.
    arrived: Option<i64>,
    /// The most expensive path to the beginning of an `if`, for its `else` part.
    otherwise: Option<i64>,
}

/// An open loop.
struct Open {
    /// Its index among all loops.
    place: usize,
    /// The most expensive path to its beginning, in the enclosing stretch.
    before: Option<i64>,
}

/// A walk through a function. The cost of a path is what it executes in its own stretch; `None` means
/// unreachable.
struct Walk {
    whole: Stretch,
    loops: Vec<Stretch>,
    open: Vec<Open>,
    labels: Vec<Label>,
    /// The most expensive path to the current position.
    here: Option<i64>,
}

impl Walk {
    fn new() -> Self {
        let body = Label { depth: 0, is_loop: false, arrived: None, otherwise: None };
        Self {
            whole: Stretch { cost: TURN, calls: false, around: None },
            loops: Vec::new(),
            open: Vec::new(),
            labels: vec![body],
            here: Some(TURN),
        }
    }

    fn step(&mut self, operator: &Operator<'_>) {
        self.here = self.here.map(|path| path + cost(operator));
        let dearest = self.here.unwrap_or(0);
        let stretch = self.innermost();
        stretch.cost = stretch.cost.max(dearest);
        stretch.calls |= calls(operator);
        match operator {
            Operator::Loop { .. } => {
                let around = self.open.last().map(|open| open.place);
                self.open.push(Open { place: self.loops.len(), before: self.here });
                self.loops.push(Stretch { cost: TURN, calls: false, around });
                self.here = self.here.map(|_| TURN);
                self.begin(true, None);
            }
            Operator::Block { .. } | Operator::TryTable { .. } => self.begin(false, None),
            Operator::If { .. } => self.begin(false, self.here),
            Operator::Else => {
                if let Some(label) = self.labels.last_mut() {
                    label.arrived = label.arrived.max(self.here);
                    self.here = label.otherwise.take();
                }
            }
            Operator::End => self.end(),
            Operator::Br { relative_depth } => self.leave(*relative_depth),
            Operator::BrIf { relative_depth }
            | Operator::BrOnNull { relative_depth }
            | Operator::BrOnNonNull { relative_depth } => self.branch(*relative_depth),
            Operator::BrTable { targets } => {
                targets.targets().flatten().for_each(|target| self.branch(target));
                self.leave(targets.default());
            }
            Operator::Return
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::Unreachable => self.leave(u32::MAX),
            _ => {}
        }
    }

    fn innermost(&mut self) -> &mut Stretch {
        let place = self.open.last().map(|open| open.place);
        place.and_then(|place| self.loops.get_mut(place)).unwrap_or(&mut self.whole)
    }

    fn begin(&mut self, is_loop: bool, otherwise: Option<i64>) {
        let depth = self.open.len();
        self.labels.push(Label { depth, is_loop, arrived: None, otherwise });
    }

    fn end(&mut self) {
        let Some(Label { is_loop, arrived, otherwise, .. }) = self.labels.pop() else { return };
        if !is_loop {
            self.here = self.here.max(arrived).max(otherwise);
            return;
        }
        let Some(Open { place, before }) = self.open.pop() else { return };
        self.here = self.here.and(before);
        let calls = self.loops.get(place).is_some_and(|stretch| stretch.calls);
        self.innermost().calls |= calls;
    }

    /// A branch that may be taken, `out` labels outwards; to the end of the function if there are fewer
    /// labels.
    fn branch(&mut self, out: u32) {
        let outermost = self.labels.len().saturating_sub(1);
        let out = usize::try_from(out).unwrap_or(usize::MAX).min(outermost);
        let Some(label) = self.labels.get_mut(outermost - out) else { return };
        if label.is_loop {
            return;
        }
        let here = self.here.and_then(|here| match self.open.get(label.depth) {
            Some(left) => left.before,
            None => Some(here),
        });
        label.arrived = label.arrived.max(here);
    }

    /// A branch that is always taken.
    fn leave(&mut self, out: u32) {
        self.branch(out);
        self.here = None;
    }
}

fn calls(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::Call { .. }
            | Operator::CallIndirect { .. }
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
    ) || cost(operator) == LIBRARY_CALL
}

fn cost(operator: &Operator<'_>) -> i64 {
    match operator {
        Operator::Nop
        | Operator::Drop
        | Operator::Block { .. }
        | Operator::Loop { .. }
        | Operator::Else
        | Operator::End => 0,
        Operator::MemoryGrow { .. } | Operator::TableGrow { .. } => LIBRARY_CALL,
        other if is_bulk(other) => LIBRARY_CALL,
        _ => 1,
    }
}

/// Whether its duration depends on the length in its last operand.
pub(super) fn is_bulk(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::MemoryCopy { .. }
            | Operator::MemoryFill { .. }
            | Operator::MemoryInit { .. }
            | Operator::TableCopy { .. }
            | Operator::TableFill { .. }
            | Operator::TableInit { .. }
    )
}

#[cfg(test)]
mod tests;
