use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

/// An address of documentation (RFC 5737): the question which way it lies sends nothing.
const FAR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);

/// The address by which this machine is reached: that of the interface of its default route. A kubelet takes no
/// loopback address.
pub fn host_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(FAR).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}
