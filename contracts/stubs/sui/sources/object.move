module sui::object;

public struct ID has copy, drop, store {
    bytes: address,
}

public struct UID has store {
    id: ID,
}

public use fun id_to_bytes as ID.to_bytes;
public use fun id_to_address as ID.to_address;
public use fun uid_as_inner as UID.as_inner;
public use fun uid_to_inner as UID.to_inner;
public use fun uid_to_bytes as UID.to_bytes;
public use fun uid_to_address as UID.to_address;

public native fun id_to_bytes(id: &ID): vector<u8>;
public native fun id_to_address(id: &ID): address;
public native fun id_from_address(bytes: address): ID;
public native fun uid_as_inner(uid: &UID): &ID;
public native fun uid_to_inner(uid: &UID): ID;
public native fun uid_to_bytes(uid: &UID): vector<u8>;
public native fun uid_to_address(uid: &UID): address;
public native fun new(ctx: &mut TxContext): UID;
public native fun delete(id: UID);
public native fun id<T: key>(obj: &T): ID;
public native fun borrow_id<T: key>(obj: &T): &ID;
public native fun id_address<T: key>(obj: &T): address;
