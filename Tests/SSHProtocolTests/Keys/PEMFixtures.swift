/// Private keys in other forms than OpenSSH's own, made with ssh-keygen 9.2 and OpenSSL 3.0, for tests alone.
enum PEMFixtures {
    /// KeyFixtures.ecdsa256: `ssh-keygen -p -m PEM`
    static let ecdsa256Traditional = """
        -----BEGIN EC PRIVATE KEY-----
        MHcCAQEEIPaR8AyRSmNN8E5YVl7zf3eHZhSbqbowk1JvScZVTROeoAoGCCqGSM49
        AwEHoUQDQgAEDoTkN+KPkbPy7tdWdHTPCsMLzp9A9Uolv9loZveMKCVYKjJoG8ce
        TtABJswZGFlsjarwv72WwqUbdSgjZtTF+w==
        -----END EC PRIVATE KEY-----
        """
    /// KeyFixtures.ecdsa256: `ssh-keygen -p -m PKCS8`
    static let ecdsa256PKCS8 = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg9pHwDJFKY03wTlhW
        XvN/d4dmFJupujCTUm9JxlVNE56hRANCAAQOhOQ34o+Rs/Lu11Z0dM8KwwvOn0D1
        SiW/2Whm94woJVgqMmgbxx5O0AEmzBkYWWyNqvC/vZbCpRt1KCNm1MX7
        -----END PRIVATE KEY-----
        """
    /// KeyFixtures.ecdsa384: `ssh-keygen -p -m PEM`
    static let ecdsa384Traditional = """
        -----BEGIN EC PRIVATE KEY-----
        MIGkAgEBBDDWntz3de6616s/cwrgD78yjJ78IlwahjJ0oUfO1eY5WdIT+hOswxb9
        JOSmCa7BO4ugBwYFK4EEACKhZANiAARu/n6Sax68Pj7WrvlDbsCO5ZdMyS/P/+wr
        d2phokni0or0dkCNudZhzZUUn2J9O1AvZLp7Br3x6OZQNd2xn4d5nvSzhzNIrURe
        W5MfBKdJm10jsbEct1w6XrzyMYfQ1kk=
        -----END EC PRIVATE KEY-----
        """
    /// KeyFixtures.ecdsa384: `ssh-keygen -p -m PKCS8`
    static let ecdsa384PKCS8 = """
        -----BEGIN PRIVATE KEY-----
        MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDDWntz3de6616s/cwrg
        D78yjJ78IlwahjJ0oUfO1eY5WdIT+hOswxb9JOSmCa7BO4uhZANiAARu/n6Sax68
        Pj7WrvlDbsCO5ZdMyS/P/+wrd2phokni0or0dkCNudZhzZUUn2J9O1AvZLp7Br3x
        6OZQNd2xn4d5nvSzhzNIrUReW5MfBKdJm10jsbEct1w6XrzyMYfQ1kk=
        -----END PRIVATE KEY-----
        """
    /// KeyFixtures.ecdsa521: `ssh-keygen -p -m PEM`
    static let ecdsa521Traditional = """
        -----BEGIN EC PRIVATE KEY-----
        MIHcAgEBBEIAXIEO1Tm5Ldbnc7jsukOznDjDe0u15UpEeBx2zoTcGsmj7fW0CVy9
        BJnYy4hSE1f4uMpz1vldzGICNlacbHffB7GgBwYFK4EEACOhgYkDgYYABAFZusO6
        /hFF6PBbo/aQHOLTjvDzZb1PUCDjNcSHnTAh/qhIV5TlQ6h9/c50sVOa6tyXiH5w
        Vr6gyDCQjJU2dKDdGQAxU/AyDiKwSfCowBvjncR0ojoQFu4Ez+Y2Wf7gTe9XV3Rn
        1xHWFurgxGEqqj/zaCA4V5SWXYWHUgfRCLs1bktmqQ==
        -----END EC PRIVATE KEY-----
        """
    /// KeyFixtures.ecdsa521: `ssh-keygen -p -m PKCS8`
    static let ecdsa521PKCS8 = """
        -----BEGIN PRIVATE KEY-----
        MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIAXIEO1Tm5Ldbnc7js
        ukOznDjDe0u15UpEeBx2zoTcGsmj7fW0CVy9BJnYy4hSE1f4uMpz1vldzGICNlac
        bHffB7GhgYkDgYYABAFZusO6/hFF6PBbo/aQHOLTjvDzZb1PUCDjNcSHnTAh/qhI
        V5TlQ6h9/c50sVOa6tyXiH5wVr6gyDCQjJU2dKDdGQAxU/AyDiKwSfCowBvjncR0
        ojoQFu4Ez+Y2Wf7gTe9XV3Rn1xHWFurgxGEqqj/zaCA4V5SWXYWHUgfRCLs1bktm
        qQ==
        -----END PRIVATE KEY-----
        """
    /// KeyFixtures.rsa: `ssh-keygen -p -m PEM`
    static let rsaTraditional = """
        -----BEGIN RSA PRIVATE KEY-----
        MIIEogIBAAKCAQEAnSAPJ+DCDiOW7/h0/4jkWrxpf6AND+1FbysobUJmjfRURS/N
        NBU1/yd0NOFw3RyS37DXc/RF1u7TxYbD8BVN2xfP2fYkWgUwMB7hwAdYOvATLAVq
        ToZdG4ZYTvCIpRH5fjo+9twuwo5AXibc21AcMpWOqAKeH28JsfGfDH/tKsEFqdOR
        QGMLtB/SH5gMyo+zGG8uGRUuvh6lQF4t3vxB6umHSfRGpXAZiE0o6GBLEJ8Q2dQo
        VWjdeTqqk8L2Yv/cK31JaKPrEO+sP1OqHRpOCNAAC8b+GV8OGVxU5oWsGp6VOmm9
        WrSILY6hC193RHMusvtc38uq/olO/Gpf3rtBrwIDAQABAoIBABT7VHrHRTKdJwk5
        fOoorhG9yjq8NTJUxWpgcYARl19KarxoczcKxBCkBJ0RI8CrEaPkWgkGbBMVBluA
        sQaM2b4xklRxTY5l1fb/ELdTY8FPEMhWmskMoT9NM9qqvRyJ526nOYQ+h9H8K/VG
        rERvEKziks+1tcbNzZYhBVOme5WzRiBMVTosOP/GAtNuoCaVJ3pP83QPMdLfMkRF
        0Yq6x21CIByR188IQgr85Gk6InQUbNRkG67+oEYXISAfp+jlwcIwxXGcWqEexyom
        rza7QLyXvGmKY5GjbvK2njBca5geQNK+P5bjqRv/FOElUHhUo20Q5dzv3P68dNfI
        l7LfmEkCgYEA2X4veCKNAflb/Wp0KsgEc63v0EwfLUAgXyrJ2ARKrt8Laf+LdEct
        Xgg2V5p4qW9sQZG08stPkLAr0ViXo+xufnbZ9/Qobj1Y9zOILlFCmxm6QAjnDzQa
        blYVEyfXWUw2HTHtMyl8O/ykun47NqX6RmI1rZoLWVJq6Avt6IW4+xcCgYEAuPG5
        FfUH5KrOwO9PN6swK2EYVSgEvNmf/Xd/md0zL54GPM3a8BeOa4wOHjgjz/Vyum4q
        hwwoy7Q7uslxfztiysYSRH/wxFlGDP6ixMDnO5b6dSlcmkD1c15QDMjUB+A2ZBVT
        eYd2ZmG62igKY+DT3AYNg+z25A/L+19PTSrILSkCgYBC7hodlkRefyZX7hKht7vm
        /Xf3WfWeL0XHA5vp5ig1eF5C2GlJ9z122oAepWLMgYWHCBfvP7HUjOJvIhxITdIT
        CPA65eArTKW8LReTaV5d7KTsX9D7VMVtfwAtTO1whYuBoIOmYvXgX/cxjPcb8if6
        0O5D5kvnyP0tO76S99PdMQKBgFD8OIou5Cfzy9mccVn1MoCsYdVYUsrHmVGKtGuR
        +0oMrrqNgiPEjO73Q29kMfpshrKwbxr37h1VbRpb/8ExJg+ZMIKia7HvTcd+8ZOq
        zRbBBCet1wkNDO5aDD+s6XwRaH/m/sim0uf+P64r/nDCEMO2OtDcQTiY2j/W+ojW
        BRYRAoGANjxNrpBRwNYCrYIf3h16PqkqapkwamsqvaPp5XIGR3iAX2guq7k87R59
        nLhi+fqpBBfWs1EbTMhMCDHrAkf5cui4PQNsUPggBahyewPIHZUhz1W9YxOp/2Fk
        O61SfeQRJoyyCdQRXthxfyZnN2ZWmdKnQnbr3VtzFKjHJC52d5Q=
        -----END RSA PRIVATE KEY-----
        """
    /// KeyFixtures.rsa: `ssh-keygen -p -m PKCS8`
    static let rsaPKCS8 = """
        -----BEGIN PRIVATE KEY-----
        MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQCdIA8n4MIOI5bv
        +HT/iORavGl/oA0P7UVvKyhtQmaN9FRFL800FTX/J3Q04XDdHJLfsNdz9EXW7tPF
        hsPwFU3bF8/Z9iRaBTAwHuHAB1g68BMsBWpOhl0bhlhO8IilEfl+Oj723C7CjkBe
        JtzbUBwylY6oAp4fbwmx8Z8Mf+0qwQWp05FAYwu0H9IfmAzKj7MYby4ZFS6+HqVA
        Xi3e/EHq6YdJ9EalcBmITSjoYEsQnxDZ1ChVaN15OqqTwvZi/9wrfUloo+sQ76w/
        U6odGk4I0AALxv4ZXw4ZXFTmhawanpU6ab1atIgtjqELX3dEcy6y+1zfy6r+iU78
        al/eu0GvAgMBAAECggEAFPtUesdFMp0nCTl86iiuEb3KOrw1MlTFamBxgBGXX0pq
        vGhzNwrEEKQEnREjwKsRo+RaCQZsExUGW4CxBozZvjGSVHFNjmXV9v8Qt1NjwU8Q
        yFaayQyhP00z2qq9HInnbqc5hD6H0fwr9UasRG8QrOKSz7W1xs3NliEFU6Z7lbNG
        IExVOiw4/8YC026gJpUnek/zdA8x0t8yREXRirrHbUIgHJHXzwhCCvzkaToidBRs
        1GQbrv6gRhchIB+n6OXBwjDFcZxaoR7HKiavNrtAvJe8aYpjkaNu8raeMFxrmB5A
        0r4/luOpG/8U4SVQeFSjbRDl3O/c/rx018iXst+YSQKBgQDZfi94Io0B+Vv9anQq
        yARzre/QTB8tQCBfKsnYBEqu3wtp/4t0Ry1eCDZXmnipb2xBkbTyy0+QsCvRWJej
        7G5+dtn39ChuPVj3M4guUUKbGbpACOcPNBpuVhUTJ9dZTDYdMe0zKXw7/KS6fjs2
        pfpGYjWtmgtZUmroC+3ohbj7FwKBgQC48bkV9Qfkqs7A7083qzArYRhVKAS82Z/9
        d3+Z3TMvngY8zdrwF45rjA4eOCPP9XK6biqHDCjLtDu6yXF/O2LKxhJEf/DEWUYM
        /qLEwOc7lvp1KVyaQPVzXlAMyNQH4DZkFVN5h3ZmYbraKApj4NPcBg2D7PbkD8v7
        X09NKsgtKQKBgELuGh2WRF5/JlfuEqG3u+b9d/dZ9Z4vRccDm+nmKDV4XkLYaUn3
        PXbagB6lYsyBhYcIF+8/sdSM4m8iHEhN0hMI8Drl4CtMpbwtF5NpXl3spOxf0PtU
        xW1/AC1M7XCFi4Ggg6Zi9eBf9zGM9xvyJ/rQ7kPmS+fI/S07vpL3090xAoGAUPw4
        ii7kJ/PL2ZxxWfUygKxh1VhSyseZUYq0a5H7Sgyuuo2CI8SM7vdDb2Qx+myGsrBv
        GvfuHVVtGlv/wTEmD5kwgqJrse9Nx37xk6rNFsEEJ63XCQ0M7loMP6zpfBFof+b+
        yKbS5/4/riv+cMIQw7Y60NxBOJjaP9b6iNYFFhECgYA2PE2ukFHA1gKtgh/eHXo+
        qSpqmTBqayq9o+nlcgZHeIBfaC6ruTztHn2cuGL5+qkEF9azURtMyEwIMesCR/ly
        6Lg9A2xQ+CAFqHJ7A8gdlSHPVb1jE6n/YWQ7rVJ95BEmjLIJ1BFe2HF/Jmc3ZlaZ
        0qdCduvdW3MUqMckLnZ3lA==
        -----END PRIVATE KEY-----
        """
    /// `openssl genpkey -algorithm ed25519`
    static let ed25519PKCS8 = """
        -----BEGIN PRIVATE KEY-----
        MC4CAQAwBQYDK2VwBCIEICptfgtLxbmwZ50ewULk2L7dAkuTumGq+ncMEuQ+/d1d
        -----END PRIVATE KEY-----
        """
    static let ed25519PKCS8Public = """
        ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBmzi/97JTy7la4H1iK2gxamdnjl56C24XsgQ1nBTtWw
        """
    static let encryptedOpenSSH = """
        -----BEGIN OPENSSH PRIVATE KEY-----
        b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABDSAykf9M
        uTFTFuTJA5gUkGAAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIJCNDxdXLKUMQA3l
        UNuIrT/jJNiRxvCn/rnG6Hta1KmRAAAAkIDukwcXxYlaofqVEOCSwDwHbV168IUNogKSEs
        URsS2RVIfqiiaVknth/FQU3dUMoAIxVW8OTrtovq/Sj6qGxni0C17T2DJ2/oGKFcnXZr2A
        79f1IBl+gz1I51xfjOb2JBLJtAeEBaeGoJaOznNgbbiB0ha1lV0hVbHmTZnUTonLyTVsrg
        BsBKmmF5VlGuVVsA==
        -----END OPENSSH PRIVATE KEY-----
        """
    static let encryptedTraditional = """
        -----BEGIN RSA PRIVATE KEY-----
        Proc-Type: 4,ENCRYPTED
        DEK-Info: AES-128-CBC,44AC35F732471F07C846F33EB1818A79

        aFOQhYnyWUe3S6emFBaE608mjLEmfA2hVDrbhqkk34RgSZ/Ogu5L+8fcmsmH7me+
        HQ4QXfbsy+xQm6O5fWf6F27uzLh6hUnAf+icPMzddH4XeoCa8O5hNKdQR6cGwhtP
        gA3UcdI4ESjTwej/ro53sMXMzzsgIK29lBCUSdl9Z0Wv+GXFzDaOq2phaonxg/qI
        vO6+xV4+Zb3tW03cu+n/JyTn2hM70/UdlkS3A2jsJ7MMg1IgzzppU3cr45OnWN/6
        1iRvawveA6BYd9stfdYauXiX83BImdZwP034429IPzWCLMJqWgcx4CAeRJIiLzWK
        RVHi04zrO5TPmCbACYp3cIjfxsd9lbHrY2BqzBouFcvEtqobMnYN/QkzWe1gDmYS
        xz5P23danmmdO6aj8EVP4KFDBDWVIoYO3TAm2rXvXBFPBNgD8z1QMUNf95jJLlbB
        pA9j/zqWETnBtZpC7ot5lVP06m3uY0Y7EFbtf7cyNPztFDWCO2x382r2XasToHiA
        jBBy/TQ4V+6BlI2ewozG3IM8Kb3x5ddaAVjrUWwARVjYhJbPlgYI75cfOhQH1cns
        /qzcrYuLbGkOg+hLPUAtx/WGohnnwk13xCg4fjYgK/Dr6S6VLD4TyVEsRXXHtuDJ
        Km2w62XoAFVVOSkUlE5BsMRJ0cm2Hx4xQvjyIydCfTOpqYRGwzKQrER4NKUedR7h
        VqfDdA0n0dQPVb2BFtMrHeG1LlrHyjncWUdamMuiFfpwgvUdNwLodmUIH+ULlMzR
        5GbONIK/hdXQ3WBb8qhcdAPCYzjU3/auGjpWxlf8h21N0j59ywFIqarpEWVV1Kkx
        qj50CRbk9v+Lo8Y/K4F/KI9/rev9FtjUO1xSVYGcV9B8n3eG2HNdCA7GxTS3x7dp
        PZ7TFLqIPaceWnqomYFOSzr3fvCvqmnWw2YW40lVhpW/+7nQrOGG0GjW5jt2nvOD
        caw0LrYJ8aRroL9KNk/3HTkH8z+XJJhpQdPTtd22n8ugUApWzaJDlR8Kb9UoUioa
        2LGuLUAC0o4gd23LVaVeXQOqo2e4mYsgr4ILeKJD5W5uwrzZ+2S/Ca2U12LFfLa3
        sr8Utep1/xvbN95VRSG9obc6JV6iFSSj7BDMV58Q37ZLggCHc0j/3pq2qx9J7Pcc
        S/+tSwbLLtPZdAqzbXOOAifumHoNlGpYoaJp110gp9iRFUdcgBC7fjLsFfFd0VBY
        jgd5a9UVovpzSfbz8BxJtaSGaY0ASI0Fp1wwZccbCRLTEdzpTl6TBEg4sil2Bm7g
        SyDJnYb9/vb/wqQDH9aDtSCYVC5vhFbtv0nF7qvR6B2TqMNSDXawmUlAaZBtfDVw
        wMkFQfGXTDodQdeWvSb9qvblI/Bngx+Ee61Hv6S2NkUay+hteYjdc6ZH7KhoAYiL
        a9LrJXOCRO3+/mf0eNBY7RTXbQKbrE1pyxCWUVm3m97rs/70ctO6RnQ5uGQ8FUwP
        BfdfHMbnSqPZ+03D9z0blYYwzoGV0aENdBoODEuwQQ/BQMqeHYgsg/Qi9xnhw6kx
        bNuFBEv869b3EXA0OCH5xUoFPcCGFvtJeDBR5trwpop1dF/MNf8cciX/msOY0qQ/
        -----END RSA PRIVATE KEY-----
        """
    static let encryptedPKCS8 = """
        -----BEGIN ENCRYPTED PRIVATE KEY-----
        MIIFLTBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQIi+PQUHGsJdUCAggA
        MAwGCCqGSIb3DQIJBQAwHQYJYIZIAWUDBAEqBBCB4mcf3C+taOp+/i05M0YlBIIE
        0Ky8cHrZh8cv4DYz9+1m5dxdiaVYYVwi29hEcU46Fm/imV47N3DsnrApIBv+0z9E
        /iIoxflp8VoVlz/o/GGYrsYkLBHYutLqlpdGE4xgMbqpV0hwxdoRAkodRRIXmtdN
        NC3gW6t87yVBrKGo5EI1cC7HE1sDfWGcx2nDIyzWnHItFx8Yz0YH9DvMEIyeiGo1
        U79qw4c0J95pwIr6Gs61gZa+hOmZEErGIrXSbQxS/IhCmTR546MjzPE2+VGMyOx9
        l+w4SaNFVsqekg43BYX/GZiFQM4+lKbXlIL9X5SixFAZTnLNWeo/7lB9jv8y6BRj
        QoLDpSiR3kzmHA3gMhBu9+410LptbmWZjqFgiUaDNIIUNCNH16W429fko34UjwoH
        m0hCDloP7QQ+6qaBGqB4ychwZLzHMxaclItfo1WRUb/Nu/AlaggWbdVRLsvsF2LV
        2aW5LmyB9XQ8OxGqJnnY4yQIg0YqP4KMG9eZ9RF3RhDtefdvfoO8OFENkift54/k
        Kc3+Wi5ubARDhyCLBWG1wSV7YZPgvIGl8kL9Rcq7V0/djnGP2DZXWw26fMacS4Xu
        +u+IyqXzsBq725TExMRDFHDzbT/xvVjutKBvo5SYfb2QXCJD23PVRD4ipbDFOtHZ
        3dQJHN4ckok6ZsySGKdad4rW9mf66ZhLOoeGXy/rCm8xO50bag9aNk/cE60Nqdeo
        PwwhbegvCK7KxdrEEK+laSQHg8PV8+mYS5H1iDdfOTlDeDv0LDxx1RVgerJ7OYtA
        ZJQWflIMiO6JPHc2hOHKoUhKK2evxd9y//F8wPydoBdmC34IrkGFtCObkB49aENW
        l4OLz4KqDraguOG5InGeaIF1EAQvz/8bYMYMRtUj5pyn1q9K1X+y6FYLuunYyu/i
        HAKA5j8XCphlOrCYHMbTT2Uss8y3LVrM24l+cZvnnTXCynQD4wgGerYYfEGvrEmf
        NaEZxKlUygYbDh//1thWeV5HCSRg9v7vqdftBvdlSiLLBvYKQcEkvdRxcwZmm4lC
        D1HLiwmQD2NbKMZ3ecpBeXsG/6xhT2gCwyQiMGrfNHB1G+KNEBh12rjWTNDg4cNk
        /MZ+HK77TNky5B3vLtP44GJdSfyIUTjjSEw1xk+L1YICz4oQDc7nMBFt5RjmB8+T
        xGQLyIyiHvNYNVciE21stZ42zSioV2w5Z3wDcdlGsQ9JHuajF+aQhWGTFV8gw4is
        zMyCczC/C71dBUXp05YI/NCMkzRR9k4sUfcWMgySjXd6h/5qhd3XQdNfIn2l/CyI
        Se51v6kfv6L/PRIoCQHcYGETA2GRB+NqPmKhhtIX3ckzeEiW3Hl/azmQjEY42cVX
        z2TvNd5jBSfGjE36e8fKxU6ChDLN9PGXwBdbsj2PYduCWNmKdlO6IEbC+bGodvcC
        6aJQjgs9Ns+U2Tu9BksMx9QRFHt54bfjSH/0pnujWngwbvIPphOsDMHwydUFb6HZ
        BlgDwKuZ8Du2m75G/la9aflMo7aN954EXAPQk0vpF+/H9YiZpQyzAT5w/zOjfL/a
        d0QC5FM1Z9wAiu6CfQrim3B1NL4TlmmrCgolBeElWQAlCg9iMA7fGdtXmWOWugci
        A5+5J0NFrYs59Ibgh+Ygcbafcgmwr9c5F7SYD8miPqsj
        -----END ENCRYPTED PRIVATE KEY-----
        """
    static let dsa = """
        -----BEGIN OPENSSH PRIVATE KEY-----
        b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAABsgAAAAdzc2gtZH
        NzAAAAgQCmp99nznenYVbIE8+I9wyN08lvnRFpzBx2qGSNumOcdyQdGhCYSvL9kQmEHr1s
        XMNXGUFppRtNS1Qxy1AXTonpuS0KcX6IAPgAOXkl8MnObNJEjw7m8xzOfsbMUJEHYv5aRq
        D8THMaPEcjwE5xhmzuyg/SQLBX8bMo4/N1zgqbEQAAABUAyyKoneBdyEu4PwT16wihdWYw
        5jcAAACAUoNTHfuQ084ED9LA8lUkEescX7nzC9d+Ahwr0pmxwiSyVvVFTi5lWLRKXmHf3T
        bHSUTSK0HXiprdxu2jGNd9DIk9d+RC4aVXV1Zr24A2pOx0oARkfvNZNk10Mx3MxwK3sxoF
        IZa8QPnvfCGmGY0XZFvcLqezwDSlQG+NGFf/oKoAAACBAI/eoC2ZWs5vL/VbkYRebP8SUi
        ulqcwjUNOu22uBb0Cc4XpWxwDrczcF5eMfh4GPOsXuHFax8+zI3bhspRFxRquP78uae2XT
        93OrBIuen3xBsyhhqlasPgyoKUx5kcvJ4vOaecjrhNTJMSC3r3rpwOJOTyjumHFdzWFZ2J
        L8xsVzAAAB4HNMuhJzTLoSAAAAB3NzaC1kc3MAAACBAKan32fOd6dhVsgTz4j3DI3TyW+d
        EWnMHHaoZI26Y5x3JB0aEJhK8v2RCYQevWxcw1cZQWmlG01LVDHLUBdOiem5LQpxfogA+A
        A5eSXwyc5s0kSPDubzHM5+xsxQkQdi/lpGoPxMcxo8RyPATnGGbO7KD9JAsFfxsyjj83XO
        CpsRAAAAFQDLIqid4F3IS7g/BPXrCKF1ZjDmNwAAAIBSg1Md+5DTzgQP0sDyVSQR6xxfuf
        ML134CHCvSmbHCJLJW9UVOLmVYtEpeYd/dNsdJRNIrQdeKmt3G7aMY130MiT135ELhpVdX
        VmvbgDak7HSgBGR+81k2TXQzHczHArezGgUhlrxA+e98IaYZjRdkW9wup7PANKVAb40YV/
        +gqgAAAIEAj96gLZlazm8v9VuRhF5s/xJSK6WpzCNQ067ba4FvQJzhelbHAOtzNwXl4x+H
        gY86xe4cVrHz7MjduGylEXFGq4/vy5p7ZdP3c6sEi56ffEGzKGGqVqw+DKgpTHmRy8ni85
        p5yOuE1MkxILeveunA4k5PKO6YcV3NYVnYkvzGxXMAAAAVAMISSDG7rrnfhtFUGyJiwbAZ
        N5mdAAAAA2RzYQECAwQFBg==
        -----END OPENSSH PRIVATE KEY-----
        """
    static let dsaPublic = """
        ssh-dss AAAAB3NzaC1kc3MAAACBAKan32fOd6dhVsgTz4j3DI3TyW+dEWnMHHaoZI26Y5x3JB0aEJhK8v2RCYQevWxcw1cZQWmlG01L\
        VDHLUBdOiem5LQpxfogA+AA5eSXwyc5s0kSPDubzHM5+xsxQkQdi/lpGoPxMcxo8RyPATnGGbO7KD9JAsFfxsyjj83XOCpsRAAAAFQDL\
        Iqid4F3IS7g/BPXrCKF1ZjDmNwAAAIBSg1Md+5DTzgQP0sDyVSQR6xxfufML134CHCvSmbHCJLJW9UVOLmVYtEpeYd/dNsdJRNIrQdeK\
        mt3G7aMY130MiT135ELhpVdXVmvbgDak7HSgBGR+81k2TXQzHczHArezGgUhlrxA+e98IaYZjRdkW9wup7PANKVAb40YV/+gqgAAAIEA\
        j96gLZlazm8v9VuRhF5s/xJSK6WpzCNQ067ba4FvQJzhelbHAOtzNwXl4x+HgY86xe4cVrHz7MjduGylEXFGq4/vy5p7ZdP3c6sEi56f\
        fEGzKGGqVqw+DKgpTHmRy8ni85p5yOuE1MkxILeveunA4k5PKO6YcV3NYVnYkvzGxXM= dsa
        """
    static let rsa1024 = """
        -----BEGIN OPENSSH PRIVATE KEY-----
        b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAlwAAAAdzc2gtcn
        NhAAAAAwEAAQAAAIEAyWUN4dNCq4DjF15Iycn9dKm98NsMeJMOlN+I9EbyND2fkksPuA8m
        fBvMndmz8eYiwb+yZjDH0n9VGM7g63WvTjQpmxaTKdCD+vAkMIkz8zjHNIwH8hiXtpjxRm
        QB9Vzgir0N80VwTZaOU0Xh3tS/AWgMDhkDzlAQMt0zocssBD0AAAIA4F2sxuBdrMYAAAAH
        c3NoLXJzYQAAAIEAyWUN4dNCq4DjF15Iycn9dKm98NsMeJMOlN+I9EbyND2fkksPuA8mfB
        vMndmz8eYiwb+yZjDH0n9VGM7g63WvTjQpmxaTKdCD+vAkMIkz8zjHNIwH8hiXtpjxRmQB
        9Vzgir0N80VwTZaOU0Xh3tS/AWgMDhkDzlAQMt0zocssBD0AAAADAQABAAAAgApm7s2gNM
        xY7uHRG99YUIALGGVtWvqLVfB4j0FWvMHYAPr0Z45xMeKtKOdqTDINWfQ564P9twR3UTTj
        0pg2zuQatjQHNaBXOjM/YIaNpxInlIRTKAsCQa144qkfcfuYFlr/iQQBKdRaS2wzRK/n6E
        LRX7plOnQTvdLVSeqWoxQBAAAAQGSM2QXWaUoALEbWXkzqFP8vGeahq/JH7knNkAgiNCxs
        Hada+iedBYYc0WNwea6Bt1wddm0Rr4f3N2k7HuCzeGIAAABBAOaN+QIBi54FRSpXjrZY89
        XbzPz3WKAbaiJPNF17iVtQ15WGXHq76G+OMxg21XjcYyIofA8rMyjq+rO51e1DjT0AAABB
        AN+fNRHL9gMcbwRcVITCqPhihoPrdCnbO2eSt6RtiZI9tn2Eco11bwzZq1tbFbeIkP14zS
        7DjvZMH80nOFnPwwEAAAAId2VhayByc2EBAgM=
        -----END OPENSSH PRIVATE KEY-----
        """
    static let rsa1024Public = """
        ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDJZQ3h00KrgOMXXkjJyf10qb3w2wx4kw6U34j0RvI0PZ+SSw+4DyZ8G8yd2bPx5iLB\
        v7JmMMfSf1UYzuDrda9ONCmbFpMp0IP68CQwiTPzOMc0jAfyGJe2mPFGZAH1XOCKvQ3zRXBNlo5TReHe1L8BaAwOGQPOUBAy3TOhyywE\
        PQ== weak rsa
        """
}
