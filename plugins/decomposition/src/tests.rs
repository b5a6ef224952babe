use crate::{Decomposition, DecompositionPlugin};

mod parts;

haggle_forecasting::contract_tests!(DecompositionPlugin);
// Not `pieces`: waves are computed by turning on from the first of the values at hand, so that one by one they are
// the same to rounding, not to the bit.
haggle_forecasting::method_tests!(
    Decomposition: goes_on, stays, follows, outlier, short, magnitude, covers, small
);
