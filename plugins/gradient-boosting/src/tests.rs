use crate::{Boosted, GradientBoosting};

mod boosting;
mod bounds;
mod histograms;

haggle_forecasting::contract_tests!(GradientBoosting);
// Without `covers`: the errors of the method alone come from values that its forest has learnt from; those of the
// plugin come from values that an earlier forest has not seen. Without `outlier`: the forecast repeats the value
// one season ago, even if that is a cut outlier.
haggle_forecasting::method_tests!(
    Boosted: goes_on, stays, follows, short, magnitude, pieces, small
);
