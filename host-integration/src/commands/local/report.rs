//! What `wasmcloud local` prints.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};

use serde_json::{json, Value};

use super::args::Call;

/// Prints results to one place and, in the form for people, errors to another.
///
/// When the reader of standard output goes away, the rest is not printed; the calls are made all the
/// same. Anything else that keeps it from being printed is kept: see [`Report::unwritten`].
pub(super) struct Report<O, E> {
    out: O,
    err: E,
    json: bool,
    unwritten: Option<io::Error>,
}

impl<O: Write, E: Write> Report<O, E> {
    /// Without `json`, results are printed in WAVE, one a line. With it, there is a JSON object a
    /// line, also for an error; results are texts in WAVE in it.
    pub(super) fn new(out: O, err: E, json: bool) -> Self {
        Self {
            out,
            err,
            json,
            unwritten: None,
        }
    }

    pub(super) fn answered(&mut self, call: &Call, results: &[String]) {
        let (component, function) = (&call.id, &call.function);
        if self.json {
            let object = json!({"component": component, "function": function, "results": results});
            self.object(&object);
        } else {
            for result in results {
                self.line(result);
            }
        }
    }

    pub(super) fn failed(&mut self, call: &Call, error: &dyn Error) {
        let (component, function) = (&call.id, &call.function);
        let (error, causes) = texts(error);
        if self.json {
            let object = json!({
                "component": component, "function": function, "error": error, "causes": causes,
            });
            self.object(&object);
        } else {
            self.error(&error, &causes);
        }
    }

    pub(super) fn not_built(&mut self, error: &dyn Error) {
        let (error, causes) = texts(error);
        if self.json {
            self.object(&json!({"error": error, "causes": causes}));
        } else {
            self.error(&error, &causes);
        }
    }

    pub(super) fn functions(&mut self, components: &[(&str, Vec<String>)]) {
        for (id, functions) in components {
            if self.json {
                self.object(&json!({"component": id, "functions": functions}));
                continue;
            }
            self.line(id);
            for function in functions {
                self.line(&format_args!("  {function}"));
            }
            if functions.is_empty() {
                self.line(&"  (nothing that can be called from here)");
            }
        }
    }

    fn object(&mut self, object: &Value) {
        self.line(object);
    }

    fn line(&mut self, line: &dyn fmt::Display) {
        if let Err(error) = writeln!(self.out, "{line}") {
            if error.kind() != io::ErrorKind::BrokenPipe {
                self.unwritten.get_or_insert(error);
            }
        }
    }

    /// Says so if something could not be printed for which there is a reader. Returns whether that was so.
    pub(super) fn unwritten(&mut self) -> bool {
        let unwritten = self.unwritten.take();
        if let Some(error) = &unwritten {
            let error = format!("the results could not be written to standard output: {error}");
            self.error(&error, &[]);
        }
        unwritten.is_some()
    }

    fn error(&mut self, error: &str, causes: &[String]) {
        let _ = self.write_error(error, causes);
    }

    fn write_error(&mut self, error: &str, causes: &[String]) -> io::Result<()> {
        writeln!(self.err, "error: {error}")?;
        for cause in causes {
            // A trap comes with the functions that were being run, a line for each.
            let cause = cause.trim_end().replace('\n', "\n    ");
            writeln!(self.err, "  caused by: {cause}")?;
        }
        Ok(())
    }
}

/// An error and its causes. What repeats the one before it is left out.
fn texts(error: &dyn Error) -> (String, Vec<String>) {
    let mut last = error.to_string();
    let first = last.clone();
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if text != last {
            causes.push(text.clone());
            last = text;
        }
        next = cause.source();
    }
    (first, causes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> Call {
        Call {
            id: "a".into(),
            function: "n:p/i.f".into(),
            arguments: Vec::new(),
        }
    }

    /// What `print` prints, on both outputs.
    fn printed(
        json: bool,
        print: impl FnOnce(&mut Report<&mut Vec<u8>, &mut Vec<u8>>),
    ) -> [String; 2] {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut report = Report::new(&mut out, &mut err, json);
        print(&mut report);
        [out, err].map(|bytes| String::from_utf8(bytes).expect("text"))
    }

    /// A disk that is full, or a reader that has gone.
    struct Refuses(io::ErrorKind);

    impl Write for Refuses {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn results_that_cannot_be_written_are_an_error_unless_their_reader_has_gone() {
        for (kind, is_error) in [
            (io::ErrorKind::StorageFull, true),
            (io::ErrorKind::BrokenPipe, false),
        ] {
            for json in [false, true] {
                let mut err = Vec::new();
                let mut report = Report::new(Refuses(kind), &mut err, json);
                report.answered(&call(), &["1".to_owned()]);
                assert_eq!(report.unwritten(), is_error);
                let said = String::from_utf8(err).expect("text");
                assert_eq!(said.contains("standard output"), is_error, "{said}");
            }
        }
    }

    #[test]
    fn results_are_lines_for_people_and_objects_for_programs() {
        let results = ["1".to_owned(), "\"x\"".to_owned()];
        let [out, err] = printed(false, |report| report.answered(&call(), &results));
        assert_eq!((&*out, &*err), ("1\n\"x\"\n", ""));
        let [out, _] = printed(true, |report| report.answered(&call(), &results));
        let object: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(object["results"], json!(["1", "\"x\""]));
    }

    #[test]
    fn errors_come_with_their_causes() {
        let inner = io::Error::other("line 1\nline 2\n");
        let error = io::Error::other(Outer(inner));
        let [out, err] = printed(false, |report| report.failed(&call(), &error));
        let expected = "error: outer\n  caused by: line 1\n    line 2\n";
        assert_eq!((&*out, &*err), ("", expected));
        let [out, err] = printed(true, |report| report.failed(&call(), &error));
        let object: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(object["causes"], json!(["line 1\nline 2\n"]));
        assert!(err.is_empty());
    }

    #[derive(Debug)]
    struct Outer(io::Error);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }
}
