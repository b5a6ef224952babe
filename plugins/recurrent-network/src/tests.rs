use crate::{Network, RecurrentNetwork};

mod learning;

haggle_forecasting::contract_tests!(RecurrentNetwork);
// Without `outlier`: the forecast repeats the value one season ago, even if that is a cut outlier.
haggle_forecasting::method_tests!(
    Network: goes_on, stays, follows, short, magnitude, pieces, covers, small
);
