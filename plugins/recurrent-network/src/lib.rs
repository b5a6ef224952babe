//! A small recurrent network, trained in the component: an echo state network. Its recurrent weights are fixed, and
//! only a linear readout is trained, by least squares. The same input therefore gives the same network, training
//! takes one pass, and a new value takes one step of the network.

mod network;
mod readout;
mod reservoir;

pub use network::Network;
pub use readout::{Examples, Readout, WIDTH};
pub use reservoir::{INPUTS, NEURONS, Reservoir};

/// The plugin.
pub type RecurrentNetwork = haggle_forecasting::Univariate<Network>;

#[cfg(feature = "component")]
haggle_sdk::export!(RecurrentNetwork: forecasting);

#[cfg(test)]
mod tests;
