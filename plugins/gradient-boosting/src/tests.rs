use crate::{Boosted, GradientBoosting};

mod boosting;
mod bounds;
mod histograms;

haggle_forecasting::contract_tests!(GradientBoosting);
// Not `covers`: a method by itself is judged by what its forest has learnt from, the plugin by what an earlier
// forest has not seen. Not `outlier`: it looks at the value a season ago, which is an outlier drawn in once.
haggle_forecasting::method_tests!(
    Boosted: goes_on, stays, follows, short, magnitude, pieces, small
);
