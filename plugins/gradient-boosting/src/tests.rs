mod boosting;
mod bounds;
mod contract;
