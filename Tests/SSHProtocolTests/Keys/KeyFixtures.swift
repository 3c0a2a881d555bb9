/// Key files and signatures made with ssh-keygen 9.2 and OpenSSL 3.0, for tests alone.
enum KeyFixtures {
    static let ed25519 = """
        -----BEGIN OPENSSH PRIVATE KEY-----
        b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
        QyNTUxOQAAACCRoU7QKsd7yKRtQhPUq1HMWb47ELLUxFW9WR+w56FDrAAAAJCGQ04BhkNO
        AQAAAAtzc2gtZWQyNTUxOQAAACCRoU7QKsd7yKRtQhPUq1HMWb47ELLUxFW9WR+w56FDrA
        AAAECkPqJ1GaG6xz30VViS8/3ipw2dxVZBtVJIgRF5R4g5HpGhTtAqx3vIpG1CE9SrUcxZ
        vjsQstTEVb1ZH7DnoUOsAAAAC2VkMjU1MTkga2V5AQI=
        -----END OPENSSH PRIVATE KEY-----
        """
    static let ed25519Public = """
        ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJGhTtAqx3vIpG1CE9SrUcxZvjsQstTEVb1ZH7DnoUOs ed25519 key
        """
    static let ed25519Fingerprint = "SHA256:PfS0lmFuRcEaX613NHjr6OCLKLhvpcpf2a/RuPfZbNM"
    /// `printf "the message" | ssh-keygen -Y sign -n test -f ed25519`
    static let ed25519Signature = """
        -----BEGIN SSH SIGNATURE-----
        U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgkaFO0CrHe8ikbUIT1KtRzFm+Ox
        Cy1MRVvVkfsOehQ6wAAAAEdGVzdAAAAAAAAAAGc2hhNTEyAAAAUwAAAAtzc2gtZWQyNTUx
        OQAAAECLJ7kC0rpAOMjy0NAPs1nNHsNLp5dYV7ff+bxdIUp4U6KZ/zarJzaOulTQExN6/O
        eAg6UNhOXFR8/FnLm0LzsB
        -----END SSH SIGNATURE-----
        """
    static let ecdsa256 = """
        -----BEGIN OPENSSH PRIVATE KEY-----
        b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAaAAAABNlY2RzYS
        1zaGEyLW5pc3RwMjU2AAAACG5pc3RwMjU2AAAAQQQOhOQ34o+Rs/Lu11Z0dM8KwwvOn0D1
        SiW/2Whm94woJVgqMmgbxx5O0AEmzBkYWWyNqvC/vZbCpRt1KCNm1MX7AAAAqOHCfSXhwn
        0lAAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBA6E5Dfij5Gz8u7X
        VnR0zwrDC86fQPVKJb/ZaGb3jCglWCoyaBvHHk7QASbMGRhZbI2q8L+9lsKlG3UoI2bUxf
        sAAAAhAPaR8AyRSmNN8E5YVl7zf3eHZhSbqbowk1JvScZVTROeAAAACWVjZHNhIDI1NgEC
        AwQFBg==
        -----END OPENSSH PRIVATE KEY-----
        """
    static let ecdsa256Public = """
        ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBA6E5Dfij5Gz8u7XVnR0zwrDC86fQPVK\
        Jb/ZaGb3jCglWCoyaBvHHk7QASbMGRhZbI2q8L+9lsKlG3UoI2bUxfs= ecdsa 256
        """
    static let ecdsa256Fingerprint = "SHA256:gatneuf9GN6ce000Z76UC4ZAKIYf8W65lHojzNSU/0g"
    /// `printf "the message" | ssh-keygen -Y sign -n test -f ecdsa256`
    static let ecdsa256Signature = """
        -----BEGIN SSH SIGNATURE-----
        U1NIU0lHAAAAAQAAAGgAAAATZWNkc2Etc2hhMi1uaXN0cDI1NgAAAAhuaXN0cDI1NgAAAE
        EEDoTkN+KPkbPy7tdWdHTPCsMLzp9A9Uolv9loZveMKCVYKjJoG8ceTtABJswZGFlsjarw
        v72WwqUbdSgjZtTF+wAAAAR0ZXN0AAAAAAAAAAZzaGE1MTIAAABkAAAAE2VjZHNhLXNoYT
        ItbmlzdHAyNTYAAABJAAAAIQDczb81z9oWvjZ3eRE8N1+bvpfQztuLTE+fea/pQwwHpQAA
        ACA2aARlIX1pcWm1bJFKwMicZ3NvoEqlEvHoRnM6vKeF+Q==
        -----END SSH SIGNATURE-----
        """
    static let ecdsa384 = """
        -----BEGIN OPENSSH PRIVATE KEY-----
        b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAiAAAABNlY2RzYS
        1zaGEyLW5pc3RwMzg0AAAACG5pc3RwMzg0AAAAYQRu/n6Sax68Pj7WrvlDbsCO5ZdMyS/P
        /+wrd2phokni0or0dkCNudZhzZUUn2J9O1AvZLp7Br3x6OZQNd2xn4d5nvSzhzNIrUReW5
        MfBKdJm10jsbEct1w6XrzyMYfQ1kkAAADY+Eo9UvhKPVIAAAATZWNkc2Etc2hhMi1uaXN0
        cDM4NAAAAAhuaXN0cDM4NAAAAGEEbv5+kmsevD4+1q75Q27AjuWXTMkvz//sK3dqYaJJ4t
        KK9HZAjbnWYc2VFJ9ifTtQL2S6ewa98ejmUDXdsZ+HeZ70s4czSK1EXluTHwSnSZtdI7Gx
        HLdcOl688jGH0NZJAAAAMQDWntz3de6616s/cwrgD78yjJ78IlwahjJ0oUfO1eY5WdIT+h
        Oswxb9JOSmCa7BO4sAAAAJZWNkc2EgMzg0AQIDBAUG
        -----END OPENSSH PRIVATE KEY-----
        """
    static let ecdsa384Public = """
        ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBG7+fpJrHrw+Ptau+UNuwI7ll0zJL8//\
        7Ct3amGiSeLSivR2QI251mHNlRSfYn07UC9kunsGvfHo5lA13bGfh3me9LOHM0itRF5bkx8Ep0mbXSOxsRy3XDpevPIxh9DWSQ== ecd\
        sa 384
        """
    static let ecdsa384Fingerprint = "SHA256:pRFX8pcidu+kLCl/XRX/EyoEUS+UbX+6nCAxMBc90Xg"
    /// `printf "the message" | ssh-keygen -Y sign -n test -f ecdsa384`
    static let ecdsa384Signature = """
        -----BEGIN SSH SIGNATURE-----
        U1NIU0lHAAAAAQAAAIgAAAATZWNkc2Etc2hhMi1uaXN0cDM4NAAAAAhuaXN0cDM4NAAAAG
        EEbv5+kmsevD4+1q75Q27AjuWXTMkvz//sK3dqYaJJ4tKK9HZAjbnWYc2VFJ9ifTtQL2S6
        ewa98ejmUDXdsZ+HeZ70s4czSK1EXluTHwSnSZtdI7GxHLdcOl688jGH0NZJAAAABHRlc3
        QAAAAAAAAABnNoYTUxMgAAAIQAAAATZWNkc2Etc2hhMi1uaXN0cDM4NAAAAGkAAAAwI8ii
        yuXFoc7N3F+Fp/qnQ88WKUkaDYl7ug/bciip7/kg5h4991FEJVvP9kIxKjfuAAAAMQDssa
        zCzoNuFKRLFYD3rFPmqZGhJGkGMnvQthJsxqCtWZg38JHPJjONklwx9JPhm3c=
        -----END SSH SIGNATURE-----
        """
    static let ecdsa521 = """
        -----BEGIN OPENSSH PRIVATE KEY-----
        b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAArAAAABNlY2RzYS
        1zaGEyLW5pc3RwNTIxAAAACG5pc3RwNTIxAAAAhQQBWbrDuv4RRejwW6P2kBzi047w82W9
        T1Ag4zXEh50wIf6oSFeU5UOoff3OdLFTmurcl4h+cFa+oMgwkIyVNnSg3RkAMVPwMg4isE
        nwqMAb453EdKI6EBbuBM/mNln+4E3vV1d0Z9cR1hbq4MRhKqo/82ggOFeUll2Fh1IH0Qi7
        NW5LZqkAAAEIC5z1kguc9ZIAAAATZWNkc2Etc2hhMi1uaXN0cDUyMQAAAAhuaXN0cDUyMQ
        AAAIUEAVm6w7r+EUXo8Fuj9pAc4tOO8PNlvU9QIOM1xIedMCH+qEhXlOVDqH39znSxU5rq
        3JeIfnBWvqDIMJCMlTZ0oN0ZADFT8DIOIrBJ8KjAG+OdxHSiOhAW7gTP5jZZ/uBN71dXdG
        fXEdYW6uDEYSqqP/NoIDhXlJZdhYdSB9EIuzVuS2apAAAAQVyBDtU5uS3W53O47LpDs5w4
        w3tLteVKRHgcds6E3BrJo+31tAlcvQSZ2MuIUhNX+LjKc9b5XcxiAjZWnGx33wexAAAACW
        VjZHNhIDUyMQEC
        -----END OPENSSH PRIVATE KEY-----
        """
    static let ecdsa521Public = """
        ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAFZusO6/hFF6PBbo/aQHOLTjvDzZb1P\
        UCDjNcSHnTAh/qhIV5TlQ6h9/c50sVOa6tyXiH5wVr6gyDCQjJU2dKDdGQAxU/AyDiKwSfCowBvjncR0ojoQFu4Ez+Y2Wf7gTe9XV3Rn\
        1xHWFurgxGEqqj/zaCA4V5SWXYWHUgfRCLs1bktmqQ== ecdsa 521
        """
    static let ecdsa521Fingerprint = "SHA256:lYWLv8qHTN2z18GICiEoWpoO5z/XjC36OcUVEw2e/kE"
    /// `printf "the message" | ssh-keygen -Y sign -n test -f ecdsa521`
    static let ecdsa521Signature = """
        -----BEGIN SSH SIGNATURE-----
        U1NIU0lHAAAAAQAAAKwAAAATZWNkc2Etc2hhMi1uaXN0cDUyMQAAAAhuaXN0cDUyMQAAAI
        UEAVm6w7r+EUXo8Fuj9pAc4tOO8PNlvU9QIOM1xIedMCH+qEhXlOVDqH39znSxU5rq3JeI
        fnBWvqDIMJCMlTZ0oN0ZADFT8DIOIrBJ8KjAG+OdxHSiOhAW7gTP5jZZ/uBN71dXdGfXEd
        YW6uDEYSqqP/NoIDhXlJZdhYdSB9EIuzVuS2apAAAABHRlc3QAAAAAAAAABnNoYTUxMgAA
        AKYAAAATZWNkc2Etc2hhMi1uaXN0cDUyMQAAAIsAAABBMFs/BdCBBGsTQboHxDzYb6g8mb
        wLSgJr8BQ2oKoo2xuJTAeQFf6frNvB5fgfUGGaxRXV6seE1XBhzpGe1XKrRqoAAABCAScu
        q3NerPX0whonBm7ccDxUym/0T6xgmuudu14UPTRFE/2h7spnYFjkZQmc2N90+h0oG/+y8Q
        ELcK0A/eYW3XH5
        -----END SSH SIGNATURE-----
        """
    static let rsa = """
        -----BEGIN OPENSSH PRIVATE KEY-----
        b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAABFwAAAAdzc2gtcn
        NhAAAAAwEAAQAAAQEAnSAPJ+DCDiOW7/h0/4jkWrxpf6AND+1FbysobUJmjfRURS/NNBU1
        /yd0NOFw3RyS37DXc/RF1u7TxYbD8BVN2xfP2fYkWgUwMB7hwAdYOvATLAVqToZdG4ZYTv
        CIpRH5fjo+9twuwo5AXibc21AcMpWOqAKeH28JsfGfDH/tKsEFqdORQGMLtB/SH5gMyo+z
        GG8uGRUuvh6lQF4t3vxB6umHSfRGpXAZiE0o6GBLEJ8Q2dQoVWjdeTqqk8L2Yv/cK31JaK
        PrEO+sP1OqHRpOCNAAC8b+GV8OGVxU5oWsGp6VOmm9WrSILY6hC193RHMusvtc38uq/olO
        /Gpf3rtBrwAAA8Cgj7xqoI+8agAAAAdzc2gtcnNhAAABAQCdIA8n4MIOI5bv+HT/iORavG
        l/oA0P7UVvKyhtQmaN9FRFL800FTX/J3Q04XDdHJLfsNdz9EXW7tPFhsPwFU3bF8/Z9iRa
        BTAwHuHAB1g68BMsBWpOhl0bhlhO8IilEfl+Oj723C7CjkBeJtzbUBwylY6oAp4fbwmx8Z
        8Mf+0qwQWp05FAYwu0H9IfmAzKj7MYby4ZFS6+HqVAXi3e/EHq6YdJ9EalcBmITSjoYEsQ
        nxDZ1ChVaN15OqqTwvZi/9wrfUloo+sQ76w/U6odGk4I0AALxv4ZXw4ZXFTmhawanpU6ab
        1atIgtjqELX3dEcy6y+1zfy6r+iU78al/eu0GvAAAAAwEAAQAAAQAU+1R6x0UynScJOXzq
        KK4Rvco6vDUyVMVqYHGAEZdfSmq8aHM3CsQQpASdESPAqxGj5FoJBmwTFQZbgLEGjNm+MZ
        JUcU2OZdX2/xC3U2PBTxDIVprJDKE/TTPaqr0ciedupzmEPofR/Cv1RqxEbxCs4pLPtbXG
        zc2WIQVTpnuVs0YgTFU6LDj/xgLTbqAmlSd6T/N0DzHS3zJERdGKusdtQiAckdfPCEIK/O
        RpOiJ0FGzUZBuu/qBGFyEgH6fo5cHCMMVxnFqhHscqJq82u0C8l7xpimORo27ytp4wXGuY
        HkDSvj+W46kb/xThJVB4VKNtEOXc79z+vHTXyJey35hJAAAAgDY8Ta6QUcDWAq2CH94dej
        6pKmqZMGprKr2j6eVyBkd4gF9oLqu5PO0efZy4Yvn6qQQX1rNRG0zITAgx6wJH+XLouD0D
        bFD4IAWocnsDyB2VIc9VvWMTqf9hZDutUn3kESaMsgnUEV7YcX8mZzdmVpnSp0J2691bcx
        SoxyQudneUAAAAgQDZfi94Io0B+Vv9anQqyARzre/QTB8tQCBfKsnYBEqu3wtp/4t0Ry1e
        CDZXmnipb2xBkbTyy0+QsCvRWJej7G5+dtn39ChuPVj3M4guUUKbGbpACOcPNBpuVhUTJ9
        dZTDYdMe0zKXw7/KS6fjs2pfpGYjWtmgtZUmroC+3ohbj7FwAAAIEAuPG5FfUH5KrOwO9P
        N6swK2EYVSgEvNmf/Xd/md0zL54GPM3a8BeOa4wOHjgjz/Vyum4qhwwoy7Q7uslxfztiys
        YSRH/wxFlGDP6ixMDnO5b6dSlcmkD1c15QDMjUB+A2ZBVTeYd2ZmG62igKY+DT3AYNg+z2
        5A/L+19PTSrILSkAAAAHcnNhIGtleQECAwQ=
        -----END OPENSSH PRIVATE KEY-----
        """
    static let rsaPublic = """
        ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCdIA8n4MIOI5bv+HT/iORavGl/oA0P7UVvKyhtQmaN9FRFL800FTX/J3Q04XDdHJLf\
        sNdz9EXW7tPFhsPwFU3bF8/Z9iRaBTAwHuHAB1g68BMsBWpOhl0bhlhO8IilEfl+Oj723C7CjkBeJtzbUBwylY6oAp4fbwmx8Z8Mf+0q\
        wQWp05FAYwu0H9IfmAzKj7MYby4ZFS6+HqVAXi3e/EHq6YdJ9EalcBmITSjoYEsQnxDZ1ChVaN15OqqTwvZi/9wrfUloo+sQ76w/U6od\
        Gk4I0AALxv4ZXw4ZXFTmhawanpU6ab1atIgtjqELX3dEcy6y+1zfy6r+iU78al/eu0Gv rsa key
        """
    static let rsaFingerprint = "SHA256:u4Ry3xDkz8KBwmLWum9m5Qgyk5meFaO6x10rlpA3GyE"
    /// `printf "the message" | ssh-keygen -Y sign -n test -f rsa`
    static let rsaSignature = """
        -----BEGIN SSH SIGNATURE-----
        U1NIU0lHAAAAAQAAARcAAAAHc3NoLXJzYQAAAAMBAAEAAAEBAJ0gDyfgwg4jlu/4dP+I5F
        q8aX+gDQ/tRW8rKG1CZo30VEUvzTQVNf8ndDThcN0ckt+w13P0Rdbu08WGw/AVTdsXz9n2
        JFoFMDAe4cAHWDrwEywFak6GXRuGWE7wiKUR+X46PvbcLsKOQF4m3NtQHDKVjqgCnh9vCb
        Hxnwx/7SrBBanTkUBjC7Qf0h+YDMqPsxhvLhkVLr4epUBeLd78Qerph0n0RqVwGYhNKOhg
        SxCfENnUKFVo3Xk6qpPC9mL/3Ct9SWij6xDvrD9Tqh0aTgjQAAvG/hlfDhlcVOaFrBqelT
        ppvVq0iC2OoQtfd0RzLrL7XN/Lqv6JTvxqX967Qa8AAAAEdGVzdAAAAAAAAAAGc2hhNTEy
        AAABFAAAAAxyc2Etc2hhMi01MTIAAAEAQHZKkbpTEhvRlKiAy3Pb5JXL/7FnXST+BMa+y0
        FJR0YnHaE66jzNq2hSEmYxlypO1Sq7Y9fwWvZXUNVotFTf6LzRiFw2z03dsalFAYbeYcZb
        AMw3HzK3Y6hkCwMwuzZH+73b2aaAZcriIGkkMNw/CtH3rR66A+O6330xrrRdiXYtQj/14X
        +yGZvwjFtLBAEOolj+VbbWQB2JWvkg4+BIFfA0KgoHsBlEfmbtcL8UkqOnQZ8sEjFQONfk
        h9oKwtkcsq00XSBIWkLry5FQxiXWkZtN2OKvR0pyLmKxAhORVUZ1tAFcH4EwbLMO+QvdMs
        B56Jze7TqiUQ4dgducZ3ENSA==
        -----END SSH SIGNATURE-----
        """
}
