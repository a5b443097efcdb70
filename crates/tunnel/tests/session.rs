//! What the simulation does not reach: peers that break the rules.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use proptest::prelude::*;
use tunnel::{
    Event, Frame, Limits, Message, OpenError, Reading, Role, Session, StreamId, Violation, Writing,
};

fn session(role: Role) -> Session {
    Session::new(role, Limits { max_streams: 2, ..Limits::default() }, 0)
}

fn data(stream: StreamId, len: usize) -> Vec<u8> {
    Message::Data { stream: stream.0, bytes: Bytes::from(vec![7; len]) }.encode(1)
}

fn next(session: &mut Session) -> Option<Message> {
    match session.transmit(0)? {
        Frame::Message(message) => Some(Message::decode(&message).unwrap()),
        Frame::Ping => panic!("no ping yet"),
    }
}

#[test]
fn a_worker_that_asks_the_master_for_a_stream_is_cut_off() {
    let mut master = session(Role::Master);
    let connect =
        Message::Connect { stream: 5, network: "tcp".into(), address: "10.0.0.1:2379".into() }.encode(1);
    let violation = master.receive(&connect, 0).unwrap_err();
    assert_eq!(violation, Violation::Connect { address: "10.0.0.1:2379".into() });
    assert_eq!(violation.reason(), "connect_from_worker");
    assert_eq!((master.streams(), master.event()), (0, None));
    assert_eq!(session(Role::Worker).open("tcp", "a:1", 0), Err(OpenError::NotTheMaster));
}

#[test]
fn streams_are_limited_on_both_sides() {
    let (mut master, mut worker) = (session(Role::Master), session(Role::Worker));
    for _ in 0..2 {
        master.open("tcp", "127.0.0.1:10250", 0).unwrap();
    }
    assert_eq!(master.open("tcp", "127.0.0.1:10250", 0), Err(OpenError::TooMany { limit: 2 }));
    assert_eq!(master.open("tcp", &"x".repeat(300), 0), Err(OpenError::Address));
    for stream in 1..=3 {
        let connect = Message::Connect { stream, network: "tcp".into(), address: "a:1".into() };
        worker.receive(&connect.encode(1), 0).unwrap();
    }
    assert_eq!(worker.streams(), 2);
    let Some(Message::Error { stream: 3, text }) = next(&mut worker) else { panic!() };
    assert_eq!(text, "the worker has too many streams open");
    let again = Message::Connect { stream: 1, network: "tcp".into(), address: "a:1".into() };
    assert_eq!(worker.receive(&again.encode(1), 0), Err(Violation::Twice(1)));
}

#[test]
fn a_sender_is_paused_and_one_that_does_not_pause_loses_its_stream() {
    let mut master = session(Role::Master);
    let stream = master.open("tcp", "127.0.0.1:10250", 0).unwrap();
    next(&mut master).unwrap();
    let limits = Limits::default();
    master.receive(&data(stream, limits.pause_bytes - 1), 0).unwrap();
    assert_eq!(next(&mut master), None);
    master.receive(&data(stream, 1), 0).unwrap();
    assert_eq!(next(&mut master), Some(Message::Pause { stream: stream.0 }));
    let mut buffer = vec![0; limits.pause_bytes - limits.resume_bytes];
    assert_eq!(master.read(stream, &mut buffer), Reading::Got(buffer.len()));
    assert_eq!(next(&mut master), Some(Message::Resume { stream: stream.0 }));

    let mut sent = limits.resume_bytes;
    while sent <= limits.stream_bytes {
        master.receive(&data(stream, 512 << 10), 0).unwrap();
        sent += 512 << 10;
    }
    assert_eq!(next(&mut master), Some(Message::Pause { stream: stream.0 }));
    assert!(matches!(next(&mut master), Some(Message::Error { .. })));
    assert!(master.buffered() <= limits.stream_bytes);
    assert_eq!(master.write(stream, b"x"), Writing::Ended);
    master.close(stream, None);
    assert_eq!((master.buffered(), next(&mut master)), (0, None));
}

#[test]
fn the_whole_tunnel_has_a_limit_too() {
    let limits = Limits { session_bytes: 1_000, ..Limits::default() };
    let mut master = Session::new(Role::Master, limits, 0);
    let streams = [0, 1].map(|_| master.open("tcp", "a:1", 0).unwrap());
    master.receive(&data(streams[0], 900), 0).unwrap();
    master.receive(&data(streams[1], 200), 0).unwrap();
    assert!(matches!(master.read(streams[1], &mut [0; 10]), Reading::Failed(_)));
    assert_eq!(master.read(streams[0], &mut [0; 1_000]), Reading::Got(900));
    assert_eq!(master.buffered(), 0);
}

#[test]
fn a_peer_that_asks_a_sender_to_pause_is_obeyed() {
    let mut master = session(Role::Master);
    let stream = master.open("tcp", "a:1", 0).unwrap();
    master.receive(&Message::Pause { stream: stream.0 }.encode(1), 0).unwrap();
    assert_eq!(master.write(stream, b"x"), Writing::Wait);
    master.receive(&Message::Resume { stream: stream.0 }.encode(2), 0).unwrap();
    assert_eq!(master.write(stream, b"x"), Writing::Took(1));
    // Nothing is sent: the queue is full after a while, whatever the peer says.
    while master.has_room() {
        assert!(matches!(master.write(stream, &[0; 100_000]), Writing::Took(_)));
    }
    assert_eq!(master.write(stream, b"x"), Writing::Wait);
}

#[test]
fn silence_and_floods_end_a_tunnel() {
    let mut master = session(Role::Master);
    assert_eq!(master.wake_at_ms(), 20_000);
    master.tick(19_999).unwrap();
    master.heard(10_000);
    master.tick(29_999).unwrap();
    assert_eq!(master.tick(30_000), Err(Violation::Silent { ms: 20_000 }));

    let mut worker = session(Role::Worker);
    let flooded = (0..10_000).find_map(|_| worker.receive(&data(StreamId(9), 1), 0).err());
    assert_eq!(flooded, Some(Violation::NotReading));
    assert!(matches!(worker.transmit(5_000), Some(Frame::Ping)));
}

#[test]
fn a_list_of_streams_ends_what_the_worker_has_lost() {
    let mut master = session(Role::Master);
    let old = master.open("tcp", "a:1", 0).unwrap();
    let young = master.open("tcp", "a:1", 20_000).unwrap();
    master.receive(&Message::Streams(vec![]).encode(1), 40_000).unwrap();
    assert_eq!(master.event(), Some(Event::Changed(old)));
    assert!(matches!(master.read(old, &mut [0; 1]), Reading::Failed(_)));
    assert_eq!(master.read(young, &mut [0; 1]), Reading::Wait);
}

proptest! {
    #[test]
    fn nothing_panics_and_nothing_grows(messages: Vec<(u8, i64, Vec<u8>)>, worker: bool) {
        let mut session = session(if worker { Role::Worker } else { Role::Master });
        let _ = session.open("tcp", "a:1", 0);
        for (kind, stream, payload) in messages {
            let mut bytes = vec![2, ((stream % 4).unsigned_abs() * 2) as u8, kind % 20];
            bytes.extend_from_slice(&payload);
            if session.receive(&bytes, 0).is_err() {
                break;
            }
            prop_assert!(session.streams() <= 2);
        }
    }
}
