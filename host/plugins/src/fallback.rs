//! Calls one candidate after another.
//!
//! - Items that a candidate fails to answer go to the next one.
//! - If a candidate has too little data, only the last candidate, the built-in one, is also called: another
//!   generation of the same plugin would need as much data, and any answer is better than none.
//! - If a candidate cannot read a model, the caller gets the fault and fits again.

use crate::error::Unanswered;

/// An answer and the candidate that gave it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Placed<T> {
    /// The index of the candidate that gave it.
    pub(crate) place: usize,
    pub(crate) answer: T,
    /// The reason why earlier candidates did not answer: the first one that is more than "not called".
    pub(crate) instead_of: Option<Unanswered>,
}

/// The result for an item. The error is that of the first candidate that was called for it.
pub(crate) type Outcome<T> = Result<Placed<T>, Unanswered>;

/// Gets an answer for every item of a batch. `ask` takes the index of a candidate and the items; it returns a
/// result for each item, or one error for all of them.
pub(crate) fn each<T>(
    candidates: usize,
    items: usize,
    mut ask: impl FnMut(usize, &[usize]) -> Result<Vec<Result<T, Unanswered>>, Unanswered>,
) -> Vec<Option<Outcome<T>>> {
    let mut results: Vec<Option<Outcome<T>>> = (0..items).map(|_| None).collect();
    let mut open: Vec<usize> = (0..items).collect();
    // Items that only the last candidate may still answer.
    let mut held: Vec<usize> = Vec::new();
    for place in 0..candidates {
        let is_last = place + 1 == candidates;
        if is_last {
            open.append(&mut held);
            open.sort_unstable();
        }
        if open.is_empty() {
            continue;
        }
        let asked = std::mem::take(&mut open);
        let answers = match ask(place, &asked) {
            Ok(answers) => answers,
            Err(error) => asked.iter().map(|_| Err(error.clone())).collect(),
        };
        for (item, answer) in asked.into_iter().zip(answers) {
            let Some(result) = results.get_mut(item) else { continue };
            match answer {
                Ok(answer) => {
                    let instead_of = result.take().and_then(Result::err);
                    *result = Some(Ok(Placed { place, answer, instead_of }));
                }
                Err(error) => {
                    if error.is_lack_of_data() {
                        held.push(item);
                    } else if !error.is_foreign_model() {
                        open.push(item);
                    }
                    remember(result, error);
                }
            }
        }
    }
    results
}

/// Gets a single answer.
pub(crate) fn one<T>(
    candidates: usize,
    mut ask: impl FnMut(usize) -> Result<T, Unanswered>,
) -> Option<Outcome<T>> {
    let answers = each(candidates, 1, |place, _| Ok(vec![ask(place)]));
    answers.into_iter().next().flatten()
}

/// Keeps the first error, but replaces one that only says "not called".
fn remember<T>(result: &mut Option<Outcome<T>>, error: Unanswered) {
    let says_more = !error.was_not_asked();
    let is_vague =
        result.as_ref().is_some_and(|known| matches!(known, Err(known) if known.was_not_asked()));
    if result.is_none() || (is_vague && says_more) {
        *result = Some(Err(error));
    }
}

#[cfg(test)]
mod tests {
    use haggle_model::Name;
    use haggle_sandbox::{Digest, types::Fault};
    use proptest::prelude::*;

    use super::{Outcome, each, one};
    use crate::{Unanswered, Who};

    fn who(place: usize) -> Who {
        let plugin = Name::new(&format!("p{place}")).unwrap();
        Who { plugin, generation: 1, digest: Digest::of(b"") }
    }

    fn fault(place: usize, fault: Fault) -> Unanswered {
        Unanswered::Item { by: who(place), function: "f", fault }
    }

    fn internal(place: usize) -> Unanswered {
        fault(place, Fault::Internal("broken".into()))
    }

    #[test]
    fn only_items_without_an_answer_go_to_the_next_candidate() {
        let mut asked = Vec::new();
        let answers = each(3, 4, |place, items| {
            asked.push((place, items.to_vec()));
            Ok(items
                .iter()
                .map(|item| match (place, item) {
                    (0, 1) => Err(internal(0)),
                    (0, 2) => Err(fault(0, Fault::InsufficientData("10 values".into()))),
                    (0, 3) => Err(fault(0, Fault::IncompatibleModel("old".into()))),
                    _ => Ok(10 * place + item),
                })
                .collect())
        });
        assert_eq!(asked, [(0, vec![0, 1, 2, 3]), (1, vec![1]), (2, vec![2])]);
        let answers: Vec<_> = answers.into_iter().map(Option::unwrap).collect();
        let by = |outcome: &Outcome<usize>| outcome.clone().map(|it| (it.place, it.answer));
        let by: Vec<_> = answers[..3].iter().map(by).collect();
        assert_eq!(by, [Ok((0, 0)), Ok((1, 11)), Ok((2, 22))]);
        let instead: Vec<_> =
            answers[..3].iter().map(|it| it.as_ref().unwrap().instead_of.clone()).collect();
        let lacks = fault(0, Fault::InsufficientData("10 values".into()));
        assert_eq!(instead, [None, Some(internal(0)), Some(lacks)]);
        assert!(answers[3].as_ref().unwrap_err().to_string().contains("old"));
    }

    #[test]
    fn where_nobody_answers_the_error_is_that_of_the_plugin_that_was_named() {
        let failed: Option<Outcome<()>> = one(3, |place| match place {
            0 => Err(Unanswered::Late(who(0))),
            _ => Err(internal(place)),
        });
        assert_eq!(failed, Some(Err(internal(1))));
        assert_eq!(one::<()>(0, |_| unreachable!()), None);
    }

    proptest! {
        /// The first candidate that can answer an item answers it.
        #[test]
        fn an_answer_is_found_where_anybody_has_one(
            // For each candidate and item: 0 answers, 1 fails, 2 lacks data.
            does in prop::collection::vec(prop::collection::vec(0_u8..3, 5), 1..4),
            fails in prop::collection::vec(any::<bool>(), 4),
        ) {
            let last = does.len() - 1;
            let answers = each(does.len(), 5, |place, items| {
                if fails[place] {
                    return Err(internal(place));
                }
                Ok(items.iter().map(|item| match does[place][*item] {
                    0 => Ok(*item),
                    1 => Err(internal(place)),
                    _ => Err(fault(place, Fault::InsufficientData("more".into()))),
                }).collect())
            });
            for (item, answer) in answers.into_iter().enumerate() {
                let mut expected = None;
                let mut lacks = false;
                for place in 0..=last {
                    if (lacks && place < last) || fails[place] {
                        continue;
                    }
                    match does[place][item] {
                        0 => { expected = Some(place); break; }
                        1 => {}
                        _ => lacks = true,
                    }
                }
                match (expected, answer) {
                    (Some(place), Some(Ok(found))) => {
                        prop_assert_eq!((found.place, found.answer), (place, item));
                        // The first candidate needs no reason; every later one has one.
                        prop_assert_eq!(found.instead_of.is_some(), place > 0);
                    }
                    (None, Some(Err(_))) => {}
                    (expected, found) => prop_assert!(false, "{expected:?} {found:?}"),
                }
            }
        }
    }
}
