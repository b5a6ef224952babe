mod numbers;
mod preparation;
mod spread;
