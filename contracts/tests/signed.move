/// Made by tools/signatures.py, which says what each of these is.
#[test_only]
module k3s_daas::signed;

public fun verifier(): vector<u8> {
    x"8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"
}

public fun other_verifier(): vector<u8> {
    x"ca93ac1705187071d67b83c7ff0efe8108e8ec4530575d7726879333dbdabe7c"
}

public fun enclave(): vector<u8> {
    x"8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394"
}

public fun holder(): vector<u8> {
    x"8a875fff1eb38451577acd5afee405456568dd7c89e090863a0557bc7af49f17"
}

public fun next_holder(): vector<u8> {
    x"ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c"
}

public fun claimed(): vector<u8> {
    x"6f1cdaceae413e6cbbb3c1dfe377e3f49cdcecd66823e7dc93b783cf9d0a5fb9463c0d8f9be59c4bb8401554d42bbe78b1e82a91f9ce27aa9796b008f5b13308"
}

public fun claimed_too(): vector<u8> {
    x"48f9fe781af1438e70956e8964f764c82d6f7a91b1036d69c01868a094ba456f8479b61f63ae2a87321d58d2bdda3211dc09513c232796eb5c3f417e4ba7f001"
}

public fun point(): vector<u8> {
    x"e030c1b72cea25bead71b9a0d248b2e331efd16566e366ce223f978ae94f1d432015f5181f5edd2b73c2abc51df46062cb00c117ffee5482cbc4248580111909"
}

public fun next_point(): vector<u8> {
    x"6b3ad090fe4711b007e018e78fe5a678d08ca2f7972d54517d0ed2542d709467a10b93c75a67e1dd55c347111f724d01ac92959f84446e690b18301eb86ebd0a"
}

public fun unanchored(): vector<u8> {
    x"8e66e34f5d730c48a920ffbe5e3b24d69d5f6f014a5f6b2ada3573b521cedba8aa99b9f2dfbda72000f0bc4113cad7bf3b23d24f17bcbc7d3a62e55988d62007"
}

public fun sealing(): vector<u8> {
    x"d80b8c214629ce28a808d3d2c41fcddfaaae81f9e7d26cd882dc7e29c1efa968d4f77cc5d6b40756e116cae9a02687dc16530f875052517b921ecf7fe3d7f10a"
}

public fun next_sealing(): vector<u8> {
    x"20fa16070b769b94e0504c80ee75b3f09aa79aaaf5fc592f3bb5f7153d66f4114a868348d12d94524605a5a4bcc3ddb60880417171ce016dcceddc218789d40b"
}

public fun shares(): vector<u8> {
    x"2ee751ecc6fea46ad2cdd6e21353b5955886761d8b7cd4c8b6f3d283bd82a6cb78d1e177504ec2df83c9eb0dbe9fa2d95ea6eb4efd646bc720a08341421ce20b"
}

public fun liar_shares(): vector<u8> {
    x"3fdb129ada43f10db4ee6fe9437a90693e07e3384e1317024d8b361fcb78bc85921996a039b98f76700ab989f8883116c172db945073489a7d5fd56845f6ed00"
}

public fun epoch_root(): vector<u8> {
    x"46753cd1d58681beeb96a72919d1a3c24756894f864180d2d891739107668b2e"
}

public fun liar_root(): vector<u8> {
    x"0243024c188d59c7dc1ecafc3dd4bced6989db44113de2a72f544485970ee47d"
}

public fun first_root(): vector<u8> {
    x"83d43f7bae5eddef8da34c1db3394e3f6902a2fcb92e905477354d61b2dba445"
}

public fun second_root(): vector<u8> {
    x"23391ff86a5ef1240446812dc1318fa6f2edc31920f7ac9ce5e09182234a672d"
}

public fun downtime(): vector<u8> {
    x"41836226195bca379fda1f60c725be7ccefa7e9d10d9333e2cfe3639bf03b4937e2727d34695577800de7562f817505877508b90cb7dcf081eb5c669e5c6a20d"
}

public fun next_downtime(): vector<u8> {
    x"194e189d3e04c19e78e0c63dcbf8a53f5e1d97a30a60f6259b356ffffa4b7ccda397c7e3dfcba7b3c5092162af3b67c3cc3fe254990bb51f2a5fd1af9fee5406"
}

public fun sliced_downtime(): vector<u8> {
    x"ece52ce8738760381d39588e9fffb9583e0fab879cd885c3d40fc58542eaab4511931ba6fca93ae9ace61180004133a94e8fdb4552384d7c48c3013d4a7cd904"
}

public fun attestation(): vector<u8> {
    x"1d786ad9f2989aba6828d78ffe2e0c73957f180eac782ee9925600ba85abb3f063ee0a86006c64939351b212f7ce1cbbe59394b0d53d10e545269b9c710ed90f"
}

public fun tampering(): vector<u8> {
    x"4d24b52f38d8c79c8c9e4e0691d589a3f74df69626e639725deaed9aab5045dc69f4e1972b752454f68784b6e0f80db79362c4cc0faad3920d7f3ec0c861660c"
}

public fun ran_other_code(): vector<u8> {
    x"cd022665f871fbc4771a972621563a0c2d11d02a87802fecb3efdaa765ef0c06c16616d8a774949154469c5e5926f06eff071ca7f28b1f8a7d0c91cd1ab8600e"
}

public fun stated(): vector<u8> {
    x"62b07086e0f84c781ee3b2f455f6d449de4612bd9022db6a47a72b9207fe9f30f00a1a90298f02c814da30f48c20eab5a76b8b744859b9614d2206f9a08bc902"
}

public fun stated_otherwise(): vector<u8> {
    x"ef34b511c072906671fb61a6becbf31c51674e942c3bce1ee0c249917790f487fd7ab2d3818f7c4ae3095ac9e25a93b33ddba39b9d932966bf18fa3e875fc00f"
}

public fun stated_by_next(): vector<u8> {
    x"4a82d103ee62d0dd78d847069659f7cffe1177b58ab4a8d3ef8c002733aa1c65a1365804c7e32ee9b9d419db9e0576a42241ca70f26d24e7536a18b84b32be09"
}

public fun possession(): vector<u8> {
    x"0e03f85c5ccdd299d7ff146c0bedd399bf9bb4333e5f3c408dcce248303b33552518269c7a89e0b88b081413055f9aa8a346b268a2d9103e0404afeb7194760a"
}

public fun proof_of_first_shard(): vector<vector<u8>> {
    vector[x"39981a1f28baca5971e8dbb6f12d269c351c4b3bedc0af51d8ffcf58c559b68b"]
}

public fun proof_of_second_shard(): vector<vector<u8>> {
    vector[x"c563d2626d7405f7b5830ff1c51ae213fd97ae0d26bb4ff512cd6b876e75a4b5"]
}

public fun proof_of_liar_first_shard(): vector<vector<u8>> {
    vector[x"3240174e6abd44c102b53ce3f695aba06d14217ac0f15d0339e3c8d04097b249"]
}

public fun proof_of_liar_second_shard(): vector<vector<u8>> {
    vector[x"3ab3386aa4fb1e96e091860f54bd1ad4983c71489e0318307841d8f81fe22e65"]
}

public fun proof_of_first_claim(): vector<vector<u8>> {
    vector[x"916b269ffabe03b65876ec1fab80511274e389834980b1d084abfb3a8d5d83a4", x"38e8b817802d168cd9111769a7db25afe51d9d58dcefc94a907245f78fdd7979"]
}

public fun proof_of_second_claim(): vector<vector<u8>> {
    vector[x"4687e854e1f704725fff0f982622bdc11fe4916b35fa137285882142ea54bf1a", x"38e8b817802d168cd9111769a7db25afe51d9d58dcefc94a907245f78fdd7979"]
}

public fun proof_of_worthless_claim(): vector<vector<u8>> {
    vector[x"0000000000000000000000000000000000000000000000000000000000000000", x"4d1deec1043960e69c68ee699b8eab0ecec91013d70912496c699e369ed3d0d7"]
}

public fun proof_of_only_claim(): vector<vector<u8>> {
    vector[]
}
