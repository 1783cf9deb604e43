//! `deepaug serve`: a study kept open for programs that ask and tell often.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use deepaug::{Cancel, Error, Server};

use crate::{args, output};

/// Maximum number of requests answered together.
const BATCH: usize = 1000;

/// Maximum length of a request in bytes.
const MAX_LINE: u64 = 1 << 20;

/// How often a server on a socket checks whether to stop.
const PULSE: Duration = Duration::from_millis(100);

/// A request, and where its answer goes.
struct Asked {
    line: String,
    answer: Sender<String>,
}

pub(crate) fn run(args: &args::Serve) -> Result<(), Error> {
    let mut server = Server::open(&args.study)?;
    let (sender, requests) = channel();
    let cancel = Cancel::new();
    match &args.socket {
        None => {
            std::thread::spawn(move || serve(std::io::stdin(), std::io::stdout(), &sender));
            work(&mut server, &requests, &cancel);
            Ok(())
        }
        Some(path) => {
            super::stop_on_ctrl_c(cancel.clone());
            listen(path, sender)?;
            output::note(format_args!("serving {} at {}; press Ctrl-C to stop", args.study.display(), path.display()));
            work(&mut server, &requests, &cancel);
            let _ = std::fs::remove_file(path);
            Ok(())
        }
    }
}

/// Answers requests until no client is left, or it is told to stop. Requests that arrive meanwhile are answered
/// together.
fn work(server: &mut Server, requests: &Receiver<Asked>, cancel: &Cancel) {
    while !cancel.is_cancelled() {
        let first = match requests.recv_timeout(PULSE) {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let all: Vec<Asked> = std::iter::once(first).chain(requests.try_iter().take(BATCH - 1)).collect();
        let (lines, places): (Vec<String>, Vec<Sender<String>>) =
            all.into_iter().map(|asked| (asked.line, asked.answer)).unzip();
        for (answer, place) in server.answer(&lines).into_iter().zip(places) {
            // A client that has gone away needs no answer; what it told is kept.
            let _ = place.send(answer);
        }
    }
}

/// Reads requests from `from` and writes their answers to `to`, in order.
fn serve(from: impl Read, mut to: impl Write + Send + 'static, requests: &Sender<Asked>) {
    let (answer, answers) = channel::<String>();
    let writer = std::thread::spawn(move || {
        for line in answers {
            if to.write_all(format!("{line}\n").as_bytes()).and_then(|()| to.flush()).is_err() {
                return;
            }
        }
    });
    let mut from = BufReader::new(from);
    loop {
        let mut bytes = Vec::new();
        match (&mut from).take(MAX_LINE).read_until(b'\n', &mut bytes) {
            Ok(0) | Err(_) => break,
            Ok(_) if bytes.len() as u64 == MAX_LINE && !bytes.ends_with(b"\n") => break,
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&bytes).trim().to_owned();
        if !line.is_empty() && requests.send(Asked { line, answer: answer.clone() }).is_err() {
            break;
        }
    }
    drop(answer);
    let _ = writer.join();
}

#[cfg(unix)]
fn listen(path: &Path, requests: Sender<Asked>) -> Result<(), Error> {
    use std::os::unix::net::{UnixListener, UnixStream};

    let failed = |source| Error::File { path: path.into(), source };
    // Left over from a server that was killed.
    if path.exists()
        && UnixStream::connect(path).is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    {
        std::fs::remove_file(path).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let requests = requests.clone();
            std::thread::spawn(move || {
                if let Ok(to) = stream.try_clone() {
                    serve(stream, to, &requests);
                }
            });
        }
    });
    Ok(())
}

#[cfg(not(unix))]
fn listen(path: &Path, _requests: Sender<Asked>) -> Result<(), Error> {
    let source = std::io::Error::new(std::io::ErrorKind::Unsupported, "sockets need Unix; omit --socket");
    Err(Error::File { path: path.into(), source })
}
