//! Instruments a function to count the instructions that it executes.

use std::convert::Infallible;

use wasm_encoder::{
    BlockType, Function, InstructionSink, ValType,
    reencode::{Error, Reencode},
};
use wasmparser::{FunctionBody, Operator};

use super::{
    SLICE,
    stretch::{Stretch, is_bulk, stretches},
};

/// Bytes copied or filled at the cost of one instruction, as a power of two.
const BYTES_SHIFT: i64 = 4;

/// The indices of a module's meter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meter {
    /// The global with the count since the last report.
    pub(super) count: u32,
    /// The global with the limit for loops that call nothing.
    pub(super) limit: u32,
    /// The function that reports the count.
    pub(super) show: u32,
}

/// An instrumented function.
pub(super) struct Metered {
    pub(super) function: Function,
    /// The offsets of the unlikely branches.
    pub(super) unlikely: Vec<u32>,
}

/// The locals that the meter adds.
#[derive(Clone, Copy)]
struct Locals {
    /// The count during a loop that calls nothing. It is also written to the global, but not read from there.
    count: u32,
    /// The limit during such a loop.
    limit: u32,
    /// The length on the top of the stack.
    length: u32,
}

/// Instruments a function with the given number of parameters.
pub(super) fn instrument(
    rewriter: &mut impl Reencode<Error = Infallible>,
    meter: Meter,
    parameters: u32,
    body: FunctionBody<'_>,
) -> Result<Metered, Error<Infallible>> {
    let operators: Vec<Operator<'_>> =
        body.get_operators_reader()?.into_iter().collect::<Result<_, _>>()?;
    let (whole, loops) = stretches(&operators);
    let mut locals = Vec::new();
    let mut declared = parameters;
    for group in body.get_locals_reader()? {
        let (count, ty) = group?;
        declared += count;
        locals.push((count, rewriter.val_type(ty)?));
    }
    let own = Locals { count: declared, limit: declared + 1, length: declared + 2 };
    locals.extend([(2, ValType::I64), (1, ValType::I32)]);

    let function = Function::new(locals);
    let mut writer = Writer { function, meter, locals: own, unlikely: Vec::new() };
    writer.count(whole.cost);
    // A function without loops and calls ends soon, and its caller reports the count.
    if whole.calls || !loops.is_empty() {
        writer.show();
    }
    let mut turns = loops.iter();
    for operator in operators {
        if is_bulk(&operator) {
            writer.count_bytes();
        }
        let is_loop = matches!(operator, Operator::Loop { .. });
        let turn = if is_loop { turns.next() } else { None };
        let around = turn.and_then(|turn| loops.get(turn.around?));
        if turn.is_some_and(|turn| !turn.calls) && around.is_none_or(|around| around.calls) {
            writer.load();
        }
        writer.function.instruction(&rewriter.instruction(operator)?);
        match turn {
            Some(Stretch { cost, calls: true, .. }) => {
                writer.count(*cost);
                writer.show();
            }
            Some(Stretch { cost, calls: false, .. }) => writer.count_or_stop(*cost),
            None => {}
        }
    }
    Ok(Metered { function: writer.function, unlikely: writer.unlikely })
}

struct Writer {
    function: Function,
    meter: Meter,
    locals: Locals,
    unlikely: Vec<u32>,
}

impl Writer {
    fn code(&mut self) -> InstructionSink<'_> {
        self.function.instructions()
    }

    fn count(&mut self, cost: i64) {
        let count = self.meter.count;
        self.code().global_get(count).i64_const(cost).i64_add().global_set(count);
    }

    /// Counts by the length on the top of the stack, and leaves it there.
    fn count_bytes(&mut self) {
        let (count, length) = (self.meter.count, self.locals.length);
        self.code()
            .local_tee(length)
            .global_get(count)
            .local_get(length)
            .i64_extend_i32_u()
            .i64_const(BYTES_SHIFT)
            .i64_shr_u()
            .i64_add()
            .global_set(count);
    }

    /// Reports the count if it exceeds a slice.
    fn show(&mut self) {
        let Meter { count, limit, show } = self.meter;
        self.code().global_get(count).i64_const(SLICE).i64_gt_s();
        self.unlikely();
        self.code().global_get(count).call(show).global_set(limit);
        self.code().i64_const(0).global_set(count).end();
    }

    /// Loads count and limit into locals, before a loop that calls nothing.
    fn load(&mut self) {
        let (globals, locals) = (self.meter, self.locals);
        self.code().global_get(globals.count).local_set(locals.count);
        self.code().global_get(globals.limit).local_set(locals.limit);
    }

    /// Counts, and stops the guest if the count has passed the limit: the call to the host does not return.
    fn count_or_stop(&mut self, cost: i64) {
        let (globals, locals) = (self.meter, self.locals);
        self.code().local_get(locals.count).i64_const(cost).i64_add();
        self.code().local_tee(locals.count).global_set(globals.count);
        self.code().local_get(locals.count).local_get(locals.limit).i64_gt_s();
        self.unlikely();
        self.code().local_get(locals.count).i64_const(-1).i64_xor();
        self.code().call(globals.show).unreachable().end();
    }

    fn unlikely(&mut self) {
        self.unlikely.push(u32::try_from(self.function.byte_len()).unwrap_or(u32::MAX));
        self.code().if_(BlockType::Empty);
    }
}
