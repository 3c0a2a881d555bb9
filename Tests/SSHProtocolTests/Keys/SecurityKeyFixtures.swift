/// Security keys and their signatures of `the message`, made after PROTOCOL.u2f with Python's cryptography.
enum SecurityKeyFixtures {
    static let ed25519Blob = """
        AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAICzQNVmJI1rIaWn9oPdtjPqiw1B/TSpHUV1ZgTaRveiMAAAABHNzaDo=
        """
    static let ecdsaBlob = """
        AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAAAIbmlzdHAyNTYAAABBBKUYlRYzyuqFbDkMNTaTn1RAhZA/zrhE\
        633xbniM4Je+o5ahrm1dwRa2CD+/xIy+JldANEcfxtR4aqXM0uJAq7cAAAAEc3NoOg==
        """
    /// Base64 of the signature blob, by the flags in it: 1 is touch, 4 verification.
    static let ed25519Signatures: [UInt8: String] = [
        0: """
        AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAQIa+sw6Pv9DpPqbw+LeyPXP3sdfvHeGZzLGPfwww8eOviKg7PQ/yJcqjahj2\
        s9ANigzon90avnBEIUJW8nvzXAoAAAAATQ==
        """,
        1: """
        AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAQGGlUy9uvHpDEc7veIowhq45ji8E+Vq9qPoSgdIda/JIY//FjiQxCCynB2t+\
        rZhcwN1EDIpCu+r9T6mdPDJRdgoBAAAATQ==
        """,
        4: """
        AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAQInUv8f5fn5JJWUg1RpFDtwR+0o4OlnStxsjiEg25W3PlXWRVDpbpGV1THug\
        4C26LqK2WviW4/BiDO7lqcEXtwMEAAAATQ==
        """,
        5: """
        AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAQCG/HsNfNdrX8ATX0VsVl3S1hOFM3baqA/g3OJ/FsM3wFK2ZpmnrPwxD89ig\
        byKfTnoWqdU1TRGycNA0KnKBEQYFAAAATQ==
        """,
    ]
    /// Base64 of the signature blob, by the flags in it: 1 is touch, 4 verification.
    static let ecdsaSignatures: [UInt8: String] = [
        0: """
        AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAABIAAAAIGD4esuNSbicQcA2FhPppBC0y0ikgqA+e+h0gYHxbbhE\
        AAAAIFzBWd7sfMUWY8Zp7oDyp3WKfihUbvKUGW03vPJ2wdEMAAAAAE0=
        """,
        1: """
        AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAABJAAAAICyL7r/nUUokkmJUa7+oI1UW/lM3KUyvtKvaT0BvDkE7\
        AAAAIQCF3myqLTe1ZkTtc1Jj1uZUCa33S4cIgFsu+eVkDXnqfAEAAABN
        """,
        4: """
        AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAABIAAAAIEGbxjAh6HX3RVyPaPK06VaYDLpDptyslNwduvtLb+mZ\
        AAAAIHWjFjDNW8oT2Iz0EAr9w4g9sk2BFz5UYUx5yZspvJb9BAAAAE0=
        """,
        5: """
        AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAABIAAAAIAX8fAGvvEwrsLwL9jflGhGTH/ueSVShw0fv/KmBBZH8\
        AAAAIGrU5BlCJoilaIZ0HEfqvIPtzvnXclSFAhzpZScpZIf/BQAAAE0=
        """,
    ]
}
