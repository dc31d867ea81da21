//! Starts a real nats-server and a real host, deploys components and calls them.
//!
//! The end-to-end tests and `cargo xtask` stand on this crate. It talks to the host the way the outside world
//! does: over NATS, with the control interface's JSON and with wRPC through the unpatched transport. So a test
//! that passes here says something about the host binary, not about this crate's view of it.
//!
//! The usual entry point is [`Deployment`]:
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use inhost_testbed::{Deployment, Host, Workload};
//!
//! let deployment = Deployment::start(Host::builder("target/debug/wasmcloud")).await?;
//! deployment.deploy_pair().await?;
//! let nanoseconds = deployment.driver_run(Workload::Ping, 0, 100).await?;
//! assert_eq!(nanoseconds.len(), 100);
//! deployment.stop().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Everything that is started is stopped when its value is dropped, and also when the process that started it
//! is killed.

#[cfg(feature = "collector")]
mod collector;
mod computing;
mod control;
mod counts;
mod deployment;
mod driver;
mod guests;
mod handlers;
mod host;
mod http;
mod load;
mod log;
mod nats;
mod policy;
mod process;
mod program;
mod registry;
mod route;
mod signal;
mod slow;
mod stock;
mod tally;
mod thread;
mod upload;
mod usage;
mod variable;
mod wait;
mod workspace;
mod wrpc;

#[cfg(feature = "collector")]
pub use collector::{Attributes, Collector, Received, Series, Span};
pub use computing::{pings, write_computing, write_large, write_spinning};
pub use control::{Component, Control, Inventory, Link, Provider};
pub use counts::Counts;
pub use deployment::{Deployment, DEFAULT_COUNT, HTTP};
pub use driver::{Driver, SoakReport, Workload, CALLEE, CALLER, DRIVER, ECHO};
pub use guests::{reference, Guest};
pub use handlers::{write_component, write_spinning_handler, Handler};
pub use host::{Backend, Host, HostBuilder, LocalDispatch};
pub use http::{get_json, get_text, get_text_within};
pub use load::{Ended, Load};
pub use log::Log;
pub use nats::{Found, NatsServer, Origin, Search};
pub use policy::{Decision, PolicyService};
pub use program::{block_on, start_nats, until_asked_to_end, Interrupted};
pub use registry::ImageRegistry;
pub use route::{Binaries, Route};
pub use signal::{kill, runs};
pub use slow::{connect, SlowCall};
pub use stock::{stock_host, STOCK_HOST};
pub use tally::{HeldTally, Tally, TALLY};
pub use upload::Upload;
pub use usage::Usage;
pub use variable::variable;
pub use wait::{found, last_seen, listens, until, until_known};
pub use workspace::{target_dir, workspace_root};
pub use wrpc::{settle, Peer, Served};
