//! Reads the list of upstream's flags, `tests/data/upstream-v1.5.1-flags.txt`; its head explains the columns.

/// One flag of the stock host.
#[derive(Clone, Debug)]
pub(crate) struct Flag {
    /// With the two dashes.
    pub(crate) name: String,
    pub(crate) short: Option<char>,
    /// With the two dashes.
    pub(crate) alias: Option<String>,
    pub(crate) variable: Option<String>,
    pub(crate) default: Option<String>,
    pub(crate) value: String,
    pub(crate) times: Times,
    pub(crate) hidden: bool,
    pub(crate) requires: Vec<String>,
    pub(crate) conflicts: Vec<String>,
}

/// How often a flag may be given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Times {
    Once,
    Repeat,
    /// Repeated, or with values separated by commas.
    Comma,
}

/// All flags of the list, in its order.
pub(crate) fn all() -> Vec<Flag> {
    include_str!("../data/upstream-v1.5.1-flags.txt")
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(parse)
        .collect()
}

fn parse(line: &str) -> Flag {
    let columns: Vec<&str> = line.split('|').map(str::trim).collect();
    let [name, short, alias, variable, default, value, times, shown, requires, conflicts] =
        columns[..]
    else {
        panic!("not ten columns: {line}");
    };
    let some = |column: &str| (column != "-").then(|| column.to_string());
    let list = |column: &str| match column {
        "-" => Vec::new(),
        flags => flags.split(',').map(str::to_string).collect(),
    };
    Flag {
        name: name.to_string(),
        short: some(short).and_then(|short| short.chars().next()),
        alias: some(alias),
        variable: some(variable),
        default: some(default),
        value: value.to_string(),
        times: match times {
            "once" => Times::Once,
            "repeat" => Times::Repeat,
            "comma" => Times::Comma,
            _ => panic!("unknown number of times: {line}"),
        },
        hidden: match shown {
            "hidden" => true,
            "visible" => false,
            _ => panic!("neither hidden nor visible: {line}"),
        },
        requires: list(requires),
        conflicts: list(conflicts),
    }
}
