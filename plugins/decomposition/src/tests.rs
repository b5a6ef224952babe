use crate::{Decomposition, DecompositionPlugin};

mod parts;

haggle_forecasting::contract_tests!(DecompositionPlugin);
// Without `pieces`: a call computes the waves by rotation from its first value, so values that are passed one by
// one give the same results to rounding only.
haggle_forecasting::method_tests!(
    Decomposition: goes_on, stays, follows, outlier, short, magnitude, covers, small
);
