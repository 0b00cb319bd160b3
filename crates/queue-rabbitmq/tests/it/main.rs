//! The queue against a real RabbitMQ: the suite of the port, and what only a broker on a network can do.

// Always true here; clippy takes the helpers beside the tests for test code only when it is written.
#[cfg(test)]
mod broker;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod suite;
