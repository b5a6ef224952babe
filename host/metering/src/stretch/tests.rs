use proptest::prelude::*;
use wasmparser::{BlockType, Operator, Parser, Payload};

use super::{Stretch, cost, stretches};

fn of(body: &str) -> (Stretch, Vec<Stretch>) {
    let wat = format!("(module (func (param i32) (local i32) {body}))");
    let bytes = wat::parse_str(wat).unwrap();
    let body = Parser::new(0).parse_all(&bytes).find_map(|payload| match payload.unwrap() {
        Payload::CodeSectionEntry(body) => Some(body),
        _ => None,
    });
    let reader = body.unwrap().get_operators_reader().unwrap();
    stretches(&reader.into_iter().collect::<Result<Vec<_>, _>>().unwrap())
}

fn costs(body: &str) -> Vec<i64> {
    let (whole, loops) = of(body);
    [whole].iter().chain(&loops).map(|stretch| stretch.cost).collect()
}

/// Costs two.
const STEP: &str = "(local.set 1 (local.get 0))";

#[test]
fn the_dearer_branch_counts() {
    let both = format!("(if (local.get 0) (then {STEP} {STEP} {STEP}) (else {STEP}))");
    assert_eq!(costs(&both), [1 + 2 + 6]);
    let one = format!("(if (local.get 0) (then {STEP})) {STEP}");
    assert_eq!(costs(&one), [1 + 2 + 2 + 2]);
    assert_eq!(costs(&format!("(return) {STEP} {STEP}")), [1 + 1]);
}

#[test]
fn of_many_cases_the_dearest_counts() {
    let table = format!(
        "(block $out (block $one (block $two (br_table $one $two $out (local.get 0)))
           {STEP} {STEP} (br $out)) {STEP} {STEP} {STEP} (br $out))"
    );
    // The entry, and the longest case.
    assert_eq!(costs(&table), [1 + 2 + 6 + 1]);
}

#[test]
fn a_loop_counts_for_itself_and_what_it_leaves_to_goes_on() {
    let nested = format!(
        "{STEP} (block $out (loop $a {STEP} (loop $b (br_if $a (local.get 0)) {STEP}
           (br_if $b (local.get 0)) {STEP} {STEP} (br $out)))) {STEP}"
    );
    // The function, the outer loop up to the inner one, the inner one up to its exit.
    assert_eq!(costs(&nested), [1 + 2 + 2, 1 + 2, 1 + 2 + 2 + 2 + 4 + 1]);
}

#[derive(Clone, Debug)]
enum Part {
    Step,
    Block(Vec<Part>),
    Loop(Vec<Part>),
    If(Vec<Part>, Vec<Part>),
    Br(u32),
    BrIf(u32),
}

fn part() -> impl Strategy<Value = Part> {
    let leaf = prop_oneof![
        4 => Just(Part::Step),
        1 => (0_u32..4).prop_map(Part::Br),
        2 => (0_u32..4).prop_map(Part::BrIf),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let several = || prop::collection::vec(inner.clone(), 0..5);
        prop_oneof![
            several().prop_map(Part::Block),
            several().prop_map(Part::Loop),
            (several(), several()).prop_map(|(then, otherwise)| Part::If(then, otherwise)),
        ]
    })
}

fn write(parts: &[Part], depth: u32, out: &mut Vec<Operator<'static>>) {
    let blockty = BlockType::Empty;
    let near = |to: &u32| (*to).min(depth);
    for part in parts {
        match part {
            Part::Step => out.push(Operator::I32Const { value: 0 }),
            Part::Br(to) => out.push(Operator::Br { relative_depth: near(to) }),
            Part::BrIf(to) => out.push(Operator::BrIf { relative_depth: near(to) }),
            Part::Block(parts) => {
                out.push(Operator::Block { blockty });
                write(parts, depth + 1, out);
                out.push(Operator::End);
            }
            Part::Loop(parts) => {
                out.push(Operator::Loop { blockty });
                write(parts, depth + 1, out);
                out.push(Operator::End);
            }
            Part::If(then, otherwise) => {
                out.push(Operator::If { blockty });
                write(then, depth + 1, out);
                out.push(Operator::Else);
                write(otherwise, depth + 1, out);
                out.push(Operator::End);
            }
        }
    }
}

/// Returns the position of the `else`, if any, and the end of the block that begins at `at`.
fn end_of(operators: &[Operator<'_>], at: usize) -> (Option<usize>, usize) {
    let (mut depth, mut otherwise) = (0, None);
    for (place, operator) in operators.iter().enumerate().skip(at + 1) {
        match operator {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => depth += 1,
            Operator::Else if depth == 0 => otherwise = Some(place),
            Operator::End if depth == 0 => return (otherwise, place),
            Operator::End => depth -= 1,
            _ => {}
        }
    }
    panic!("a block has no end");
}

/// Executes the operators with random decisions, for up to `steps` steps. Returns the cost of the most
/// expensive iteration of each stretch: of the function, then of the loops.
fn execute(operators: &[Operator<'_>], loops: usize, mut chance: u64, steps: usize) -> Vec<i64> {
    let mut toss = || {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        chance >> 40 & 1 == 1
    };
    let number = |at: usize| {
        operators[..at].iter().filter(|operator| matches!(operator, Operator::Loop { .. })).count()
    };
    let mut dearest = vec![0; loops + 1];
    // The beginnings of the open blocks, and the cost of the current iteration of each stretch.
    let (mut open, mut turns): (Vec<usize>, Vec<i64>) = (Vec::new(), vec![0; loops + 1]);
    turns[0] = 1;
    let mut at = 0;
    for _ in 0..steps {
        let is_loop = |begin: &usize| matches!(operators[*begin], Operator::Loop { .. });
        let stretch = open.iter().rev().find(|begin| is_loop(begin));
        let stretch = stretch.map_or(0, |begin| number(*begin) + 1);
        turns[stretch] += cost(&operators[at]);
        dearest[stretch] = dearest[stretch].max(turns[stretch]);
        let taken = match &operators[at] {
            Operator::Br { relative_depth } => Some(*relative_depth as usize),
            Operator::BrIf { relative_depth } if toss() => Some(*relative_depth as usize),
            _ => None,
        };
        match &operators[at] {
            Operator::Block { .. } => open.push(at),
            Operator::Loop { .. } => {
                let place = number(at) + 1;
                turns[place] = 1;
                dearest[place] = dearest[place].max(1);
                open.push(at);
            }
            Operator::If { .. } => {
                open.push(at);
                if !toss() {
                    at = end_of(operators, at).0.unwrap();
                }
            }
            Operator::Else => {
                at = end_of(operators, open.pop().unwrap()).1;
            }
            Operator::End if open.pop().is_none() => return dearest,
            _ => {}
        }
        at += 1;
        if let Some(out) = taken {
            let Some(target) = open.len().checked_sub(out + 1) else { return dearest };
            let begin = open[target];
            if is_loop(&begin) {
                open.truncate(target + 1);
                turns[number(begin) + 1] = 1;
                at = begin + 1;
            } else {
                open.truncate(target);
                at = end_of(operators, begin).1 + 1;
            }
        }
    }
    dearest
}

proptest! {
    /// No iteration costs more than its stretch says, and some iteration costs as much.
    #[test]
    fn a_stretch_costs_what_its_dearest_turn_costs(
        parts in prop::collection::vec(part(), 0..6),
        seed in any::<u64>(),
    ) {
        let mut operators = Vec::new();
        write(&parts, 0, &mut operators);
        operators.push(Operator::End);
        let (whole, loops) = stretches(&operators);
        let mut dearest = vec![0; loops.len() + 1];
        for run in 0..400 {
            let one = execute(&operators, loops.len(), seed.wrapping_add(run), 400);
            dearest.iter_mut().zip(one).for_each(|(most, cost)| *most = cost.max(*most));
        }
        for (stretch, most) in [whole].iter().chain(&loops).zip(&dearest) {
            prop_assert!(*most <= stretch.cost, "{most} above {} in {operators:?}", stretch.cost);
        }
        // With few choices, all of them were taken.
        let choices = operators.iter().filter(|operator| {
            matches!(operator, Operator::BrIf { .. } | Operator::If { .. })
        });
        if choices.count() <= 3 {
            for (stretch, most) in [whole].iter().chain(&loops).zip(&dearest) {
                let reached = *most > 0;
                prop_assert!(
                    *most == stretch.cost || !reached,
                    "{most} below {} in {operators:?}",
                    stretch.cost
                );
            }
        }
    }
}
