// Written by hand for `tools/test.mjs`: what our contracts and their tests use of the framework's module of this name, no more.
module sui::dynamic_field;

public struct Field<Name: copy + drop + store, Value: store> has key { id: UID, name: Name, value: Value }

public fun add<Name: copy + drop + store, Value: store>(object: &mut UID, name: Name, value: Value) {
    let a = object.to_address();
    let hash = hash_type_and_key(a, name);
    let field = Field { id: sui::object::new_from(hash), name, value };
    add_child_object(a, field)
}

public fun borrow<Name: copy + drop + store, Value: store>(object: &UID, name: Name): &Value {
    let hash = hash_type_and_key(object.to_address(), name);
    let f = borrow_child_object<Field<Name, Value>>(object, hash);
    &f.value
}

public fun remove<Name: copy + drop + store, Value: store>(object: &mut UID, name: Name): Value {
    let a = object.to_address();
    let hash = hash_type_and_key(a, name);
    let Field { id, name: _, value } = remove_child_object<Field<Name, Value>>(a, hash);
    id.delete();
    value
}

public fun exists_<Name: copy + drop + store>(object: &UID, name: Name): bool {
    let a = object.to_address();
    has_child_object(a, hash_type_and_key(a, name))
}

native fun hash_type_and_key<K: copy + drop + store>(parent: address, k: K): address;
native fun add_child_object<Child: key>(parent: address, child: Child);
native fun borrow_child_object<Child: key>(object: &UID, id: address): &Child;
native fun remove_child_object<Child: key>(parent: address, id: address): Child;
native fun has_child_object(parent: address, id: address): bool;
