//! Runs a program on a stock host and on this one, and judges what is seen.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use inhost_testbed::{Host, HostBuilder};
use serde_json::json;

use crate::images::{Image, Images, SLOW};
use crate::model::{outcomes, Command, State, Surroundings};
use crate::observer::{note, rest, Callers, Released, Seen, Way};
use crate::program::{Action, Change, Config, Program, Step};
use crate::rules::{at_once, fitting, judge, Broken, Judged, Window, REST, REST_AFTER_LOSS};
use crate::world::{ensure_alike, stock, Callee, World};

/// How many programs one pair of hosts runs before it is exchanged for another one.
const PROGRAMS: usize = 40;

/// How long what is under way is given at least.
const QUIET: Duration = Duration::from_millis(250);

/// How long all has to be as it is at rest once the slow image was named: this host may have
/// another one on record while that loads.
const STEADY: Duration = SLOW.saturating_mul(3);

/// As [`STEADY`], in a state that may be one on the way: this host waits for a second without
/// commands before it mends one that an update has left.
const UNSETTLED: Duration = Duration::from_secs(3);

/// Which way calls go on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Prefer,
    Require,
    Off,
    /// The host prefers memory, and of three components one is called over NATS and one in memory only.
    Mixed,
}

/// Two hosts.
pub(crate) struct Twins {
    mode: Mode,
    images: Images,
    stock: World,
    ours: World,
    number: usize,
}

/// How long a window takes.
struct Pace {
    /// Before it is looked whether all is at rest.
    quiet: Duration,
    /// Until that is believed.
    steady: Duration,
    /// At most.
    patience: Duration,
}

/// What was done in a program so far, as far as later steps depend on it.
struct Progress {
    surroundings: Surroundings,
    /// The image that was named last.
    named: Image,
    linked: bool,
    /// How long it may take until all is at rest.
    patience: Duration,
    /// How long all has to stay as it is at rest.
    steady: Duration,
    /// How many calls without results were made.
    notes: u64,
    chosen: BTreeSet<u64>,
    stock: BTreeSet<State>,
    ours: BTreeSet<State>,
}

impl Mode {
    fn host(self) -> HostBuilder {
        let host = Host::builder(env!("CARGO_BIN_EXE_wasmcloud"));
        let numbers = 0..PROGRAMS;
        match self {
            Self::Prefer => host.arg("--local-dispatch=prefer"),
            // What is not on the host is called all the same.
            Self::Require => {
                host.arg("--local-dispatch=require").args(numbers.map(|it| {
                    format!("--local-dispatch-target={}=prefer", crate::world::tally(it))
                }))
            }
            Self::Off => host.arg("--local-dispatch=off"),
            Self::Mixed => host.args(numbers.filter_map(|it| {
                let mode = ["off", "require"].get(it % 3)?;
                Some(format!("--local-dispatch-target=callee-{it}={mode}"))
            })),
        }
    }

    fn judged(self) -> Judged {
        match self {
            Self::Off => Judged::AsStock,
            Self::Prefer | Self::Require | Self::Mixed => Judged::Ours,
        }
    }
}

impl Twins {
    pub(crate) async fn start(mode: Mode) -> anyhow::Result<Self> {
        let images = Images::make().await?;
        let (stock, ours) = tokio::try_join!(
            World::start(stock()?, &images),
            World::start(mode.host(), &images)
        )?;
        ensure_alike(&stock, &ours)?;
        Ok(Self {
            mode,
            images,
            stock,
            ours,
            number: 0,
        })
    }

    /// Whether there can be another program.
    pub(crate) fn has_room(&self) -> bool {
        self.number < PROGRAMS
    }

    /// Runs a program. Returns the rule that does not hold.
    pub(crate) async fn run(&mut self, program: &Program) -> anyhow::Result<Result<(), Broken>> {
        let number = self.number;
        self.number += 1;
        let (stock, ours) =
            tokio::try_join!(self.stock.prepare(number), self.ours.prepare(number))?;
        let callees = (stock, ours);
        let none = BTreeSet::from([State::default()]);
        let mut progress = Progress {
            surroundings: Surroundings::default(),
            named: Image::V1,
            linked: true,
            patience: REST,
            steady: QUIET / 2,
            notes: 0,
            chosen: BTreeSet::from([0]),
            stock: none.clone(),
            ours: none,
        };
        for steps in program.windows() {
            let shown = Program(steps.clone());
            let judged = self.window(&callees, &mut progress, &steps).await;
            let judged = judged.with_context(|| format!("in the window `{shown}`"))?;
            if let Err(broken) = judged {
                let what = format!("{} (in the window `{shown}`)", broken.what);
                return Ok(Err(Broken { what, ..broken }));
            }
        }
        // After a stop nothing is left.
        let Surroundings {
            permits, publishes, ..
        } = progress.surroundings;
        let open = [
            (!permits).then_some(Action::Policy(Change::Put)),
            (!publishes).then_some(Action::Permission(Change::Put)),
            Some(Action::Stop),
        ];
        for action in open.into_iter().flatten() {
            let step = [Step { action, gap: None }];
            if let Err(broken) = self.window(&callees, &mut progress, &step).await? {
                let what = format!("{} (in the stop at the end)", broken.what);
                return Ok(Err(Broken { what, ..broken }));
            }
        }
        Ok(Ok(()))
    }

    async fn window(
        &mut self,
        (stock, ours): &(Callee, Callee),
        progress: &mut Progress,
        steps: &[Step],
    ) -> anyhow::Result<Result<(), Broken>> {
        let was_linked = progress.linked;
        let commands = progress.commands(steps);
        progress.surroundings.cut = steps.iter().any(|it| it.action == Action::Cut);
        let away = steps
            .iter()
            .any(|it| it.action == Action::Link(Change::Del));
        let window = Window {
            surroundings: progress.surroundings.clone(),
            commands: commands.len(),
            chosen: progress.chosen.clone(),
            linked: (was_linked && !away, progress.linked),
            alike: progress.is_alike(),
            kept: progress.ours.iter().any(|it| it.kept),
            ..Window::default()
        };
        let of = |start: &BTreeSet<State>| {
            let mut start = start.clone();
            if !commands.is_empty() && progress.is_open() {
                // It is tried again.
                start = start
                    .into_iter()
                    .map(|it| State { kept: false, ..it })
                    .collect();
            }
            outcomes(&start, &commands, &progress.surroundings)
        };
        let with = |outcomes| {
            let mut window = Window {
                outcomes,
                ..window.clone()
            };
            window.added = commands
                .iter()
                .map(|it| it.instances().unwrap_or(window.instances()))
                .sum();
            window
        };
        let stock_window = with(of(&progress.stock));
        let window = with(of(&progress.ours));
        let slow = commands
            .iter()
            .filter(|it| it.image() == Image::Slow)
            .count();
        // What is right by chance while a command is still under way is not at rest.
        let under_way = commands.len().saturating_sub(1) + 3 * slow;
        let quiet = QUIET + SLOW * u32::try_from(under_way)?;
        let pace = Pace {
            quiet,
            steady: progress.steady,
            patience: progress.patience + quiet + progress.steady + UNSETTLED,
        };
        let first = progress.notes;
        progress.notes += steps.iter().map(|it| it.action.calls()).sum::<u64>();
        let images = &self.images;
        let judged = self.mode.judged();
        let image = |reference: &str| images.image(reference);
        let (there, here) = tokio::try_join!(
            observe(
                &mut self.stock,
                stock,
                images,
                steps,
                (commands.as_slice(), first),
                &pace,
                |seen| {
                    let fits = !fitting(Judged::AsStock, &stock_window, seen, image).is_empty();
                    fits.then_some(pace.steady)
                }
            ),
            observe(
                &mut self.ours,
                ours,
                images,
                steps,
                (commands.as_slice(), first),
                &pace,
                |seen| {
                    let states = fitting(judged, &window, seen, image);
                    let settled =
                        judged == Judged::AsStock || states.iter().all(|it| !it.overlapped);
                    let more = if settled { Duration::ZERO } else { UNSETTLED };
                    (!states.is_empty()).then_some(pace.steady + more)
                }
            )
        )?;
        progress.stock = fitting(Judged::AsStock, &stock_window, &there, image);
        progress.ours = fitting(judged, &window, &here, image);
        if progress.stock.is_empty() {
            let last = listed(&stock_window.outcomes.last);
            let what = format!("{} is none of {last}", shown(images, &there));
            return Ok(Err(Broken { rule: 0, what }));
        }
        if let Err(Broken { what, .. }) = at_once(Judged::AsStock, &stock_window, &there) {
            return Ok(Err(Broken { rule: 0, what }));
        }
        if progress.ours.is_empty() {
            let what = format!(
                "at rest there is {}; a stock host could have {}, and has {}",
                shown(images, &here),
                listed(&window.outcomes.last),
                shown(images, &there)
            );
            return Ok(Err(Broken { rule: 2, what }));
        }
        Ok(judge(judged, &window, &there, &here))
    }
}

impl Progress {
    /// Whether nothing keeps a version from serving.
    fn is_open(&self) -> bool {
        self.surroundings.permits && self.surroundings.publishes
    }

    /// Whether it is known that both hosts have the same on record.
    fn is_alike(&self) -> bool {
        let states = self.stock.iter().chain(&self.ours);
        let on_record = states.map(|it| it.record.map(|it| (it.reference, it.count, it.config)));
        BTreeSet::from_iter(on_record).len() == 1
    }

    /// Takes note of steps, and returns the commands among them.
    fn commands(&mut self, steps: &[Step]) -> Vec<Command> {
        let mut commands = Vec::new();
        for step in steps {
            match step.action {
                Action::Scale {
                    image,
                    count,
                    config,
                    update,
                } => {
                    self.named = image.unwrap_or(self.named);
                    self.chosen.insert(count.into());
                    self.waits_for(self.named);
                    commands.push(Command::Scale {
                        image: self.named,
                        count,
                        config,
                        update,
                    });
                }
                Action::Update(image) => {
                    self.named = image;
                    self.waits_for(image);
                    commands.push(Command::Update(image));
                }
                Action::Stop => commands.push(Command::Scale {
                    image: Image::V1,
                    count: 0,
                    config: Config::None,
                    update: false,
                }),
                Action::Link(change) => self.linked = change == Change::Put,
                Action::Config(config, Change::Put) => {
                    self.surroundings.removed.remove(&config);
                }
                Action::Config(config, Change::Del) => {
                    self.surroundings.removed.insert(config);
                }
                Action::Policy(change) => self.surroundings.permits = change == Change::Put,
                Action::Permission(change) => {
                    self.patience = REST_AFTER_LOSS;
                    self.surroundings.publishes = change == Change::Put;
                }
                Action::Cut => self.patience = REST_AFTER_LOSS,
                Action::Notes(_) => {}
            }
        }
        commands
    }

    /// What is under way when an update fails takes effect later: nothing says that it has.
    fn waits_for(&mut self, image: Image) {
        if image == Image::Slow {
            self.steady = STEADY;
        }
        if !image.loads() {
            self.patience = REST_AFTER_LOSS;
        }
    }
}

impl Action {
    fn calls(self) -> u64 {
        match self {
            Self::Notes(calls) => calls,
            _ => 0,
        }
    }
}

impl Command {
    fn image(self) -> Image {
        match self {
            Self::Scale { image, .. } | Self::Update(image) => image,
        }
    }

    /// The number of instances that is asked for, if one is.
    fn instances(self) -> Option<usize> {
        match self {
            Self::Scale { count, .. } => Some(count as usize),
            Self::Update(_) => None,
        }
    }
}

/// Does the steps in one world, and looks at it until it is at rest.
async fn observe(
    world: &mut World,
    callee: &Callee,
    images: &Images,
    steps: &[Step],
    (mut commands, mut first): (&[Command], u64),
    pace: &Pace,
    // For how long it has to stay so, if it is as at rest.
    is_right: impl Fn(&Seen) -> Option<Duration>,
) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    // Calls that wait would wait behind those of which it is told when they end.
    let is_called = steps
        .iter()
        .all(|it| it.action.calls() == 0 && it.action != Action::Cut);
    let callers = is_called.then(|| Callers::start(world, callee));
    let (before, asked) = (callee.tally.arrived().len(), world.asked(callee).len());
    let (mut noted, mut released) = (None, None);
    for step in steps {
        match step.action {
            Action::Link(change) => world.link(callee, change).await?,
            Action::Config(config, change) => world.configure(callee, config, change).await?,
            Action::Policy(change) => world.permit(change).await?,
            Action::Permission(change) => world.let_publish(change).await?,
            Action::Notes(calls) => {
                let accepted: &mut BTreeSet<u64> = noted.get_or_insert_default();
                accepted.extend(note(world, first, calls).await);
                first += calls;
            }
            Action::Cut => {
                if let Some(accepted) = noted.take() {
                    released = Some(Released::begin(&callee.tally, accepted, before).await);
                }
                world.cut().await?;
            }
            action if action.is_command() => {
                let (command, rest) = commands.split_first().context("each has its command")?;
                commands = rest;
                seen.accepted
                    .push(send(world, callee, images, *command).await);
            }
            _ => {}
        }
        tokio::time::sleep(step.pause()).await;
    }
    let began = Instant::now();
    if let Some(accepted) = noted {
        released = Some(Released::begin(&callee.tally, accepted, before).await);
    }
    let look = async {
        tokio::time::sleep(pace.quiet).await;
        // What is right for a moment does not count.
        let mut right: Option<(Instant, Duration)> = None;
        while right.is_none_or(|(since, steady)| since.elapsed() < steady)
            && began.elapsed() < pace.patience
        {
            seen.record = world.record(callee).await?;
            seen.rest = rest(world, callee).await;
            let since = right.map_or_else(Instant::now, |(since, _)| since);
            right = is_right(&seen).map(|steady| (since, steady));
            seen.settled = began.elapsed();
            tokio::time::sleep(QUIET / 2).await;
        }
        anyhow::Ok(())
    };
    // Calls that wait for good would be in the way of those that are made at rest.
    match &mut released {
        Some(released) => tokio::select! {
            looked = look => looked?,
            never = released.go_on() => match never {},
        },
        None => look.await?,
    }
    seen.notes = released.map(Released::end);
    if let Some(callers) = callers {
        seen.calls = callers.end().await;
    }
    seen.linked = world.is_linked(callee).await?;
    seen.asked = world.asked(callee).split_off(asked);
    seen.events = world.events(callee);
    Ok(seen)
}

async fn send(world: &World, callee: &Callee, images: &Images, command: Command) -> bool {
    match command {
        Command::Scale {
            image,
            count,
            config,
            update,
        } => {
            let command = json!({
                "component_ref": images.reference(image),
                "count": count,
                "config": config.names(callee.number),
                "allow_update": update,
            });
            world.command("scale", callee, command).await
        }
        Command::Update(image) => {
            let command = json!({ "new_component_ref": images.reference(image) });
            world.command("update", callee, command).await
        }
    }
}

/// What was seen at rest, for people.
fn shown(images: &Images, seen: &Seen) -> String {
    let record = match &seen.record {
        None => "nothing on record".to_owned(),
        Some((reference, count)) => {
            let image = images.image(reference).map(|it| it.to_string());
            format!("{} x{count}", image.as_deref().unwrap_or(reference))
        }
    };
    let answers = Way::ALL.map(|way| {
        let calls = seen.rest.iter().filter(|it| it.way == way);
        let answers: Vec<_> = calls.map(|it| it.answer.to_string()).collect();
        format!("{way:?}: {}", answers.join(" "))
    });
    format!("{record} ({})", answers.join(", "))
}

/// States, for people.
fn listed(states: &BTreeSet<State>) -> String {
    let states: Vec<_> = states.iter().map(|it| format!("[{it}]")).collect();
    states.join(" ")
}
