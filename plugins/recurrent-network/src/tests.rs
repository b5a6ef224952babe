use crate::{Network, RecurrentNetwork};

mod learning;

haggle_forecasting::contract_tests!(RecurrentNetwork);
// Not `outlier`: it looks at the value a season ago, which is an outlier drawn in once.
haggle_forecasting::method_tests!(
    Network: goes_on, stays, follows, short, magnitude, pieces, covers, small
);
