use std::any::Any;

use super::TypeTable;
use crate::backend::Backend;
use crate::call::{Incoming, Outgoing};

/// Puts a call back that its callee has taken and not started: it is the next one of its function
/// again, whether it came in memory or over the remote transport. For a callee that stops while a
/// call waits for its turn; the next generation of the component runs it.
///
/// `results` and `params` are the streams of the callee. Nothing of them may have been written or
/// read, and [`Caller::started`](crate::Caller::started) not been said. Where the function is not
/// served any more, where there are no generations, and for streams of other calls, this does the
/// same as to drop them.
///
/// Who takes a call next that came in memory gets an empty context with it: whoever took it first has the caller's.
pub fn put_back<O: Any, I: Any>(results: O, params: I) {
    if let Some(put_back) = KNOWN.get::<O>() {
        put_back(Box::new(results), Box::new(params));
    }
}

/// Both streams of a call, at the callee.
pub(crate) type Streams<B, O, I> = (Outgoing<B, O>, Incoming<B, I>);

type PutBack = fn(Box<dyn Any>, Box<dyn Any>);

/// The types of result streams whose calls can be put back.
static KNOWN: TypeTable<PutBack> = TypeTable::new();

/// Makes [`put_back`] know the streams of a type of dispatcher.
pub(super) fn know<B: Backend, O: Any + Send, I: Any + Send>() {
    KNOWN.add::<Outgoing<B, O>>(|results, params| {
        let results = results.downcast::<Outgoing<B, O>>();
        let params = params.downcast::<Incoming<B, I>>();
        let (Ok(results), Ok(params)) = (results, params) else {
            return;
        };
        if let Some(home) = params.remote_home() {
            let streams: Streams<B, O, I> = (*results, *params);
            home.put_back_remote(Box::new(streams));
        } else if let (Some(outgoing), Some(incoming)) = (results.into_local(), params.into_local())
        {
            let call = outgoing.call();
            call.home().put_back(outgoing, incoming);
        }
    });
}
