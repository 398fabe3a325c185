"""Small molecules, ions and zwitterions that are written down rather than taken from a table."""


def _words(text: str) -> list[str]:
    return text.split()


MOLECULES = _words("""
[H][H] O C N N#N O=C=O [C-]#[O+] C#N OO C=O C#C C=C CC CO NN NO N=O N=N O=CO NC=O C=C=O CN CC#N
[N-]=[N+]=O O=[N+]([O-])O O=NO N=C=O N#CC#N CC=O COC C1CO1 C1CC1 C#CC C=C=C C=N CCO CNC c1ccccc1
C=CC CCC NC(N)=O CC(C)=O CC(=O)O CC(N)=O COC=O NCC(=O)O C1CCCCC1 C1=CC1 C1CN1 C1CCC1 C12C3C1C23
N=[N+]=[N-] CN=[N+]=[N-] C=[N+]=[N-] C[N+]#[C-] [C-]#[NH+] O=C=C=C=O C=C=C=C O=C=S
[H]F FF FC CF FC(F)F FC(F)(F)F C=CF C#CF FC=O FC(F)=O FOF FN(F)F NF FNF FO ON(F)F FC#N FC(F)=C(F)F
CCF OCF CC(F)(F)F FC(F)(F)C(F)(F)F FN=NF O=NF O=[N+]([O-])F
[H]Cl ClCl CCl ClCCl ClC(Cl)Cl ClC(Cl)(Cl)Cl C=CCl C#CCl ClC=O ClC(Cl)=O ClO ClOCl ClN NCl ClN(Cl)Cl
ClC#N O=NCl FCl O=Cl(=O)(=O)O OCl=O O=Cl(=O)O CCCl CC(=O)Cl ClC(Cl)=C(Cl)Cl
[H]Br BrBr CBr BrCBr BrC(Br)Br BrC(Br)(Br)Br C=CBr C#CBr BrC=O BrO BrN BrC#N BrCl BrF CCBr
CC(=O)Br O=Br(=O)O
[H]I II CI ICI IC(I)I C=CI C#CI IO IC#N ICl IBr IF CCI FI(F)F FI(F)(F)(F)F O=I(=O)O CI(Cl)Cl
O=Ic1ccccc1 Ic1ccccc1 Clc1ccccc1 Brc1ccccc1 Fc1ccccc1
S SS CS CSC CSSC C=S C1CS1 S=C=S N=C=S CC(C)=S CC(N)=S CS(C)=O CS(C)(=O)=O O=S=O O=S(=O)=O S=O
OS(=O)(=O)O OS(=O)O CS(=O)(=O)O CS(N)(=O)=O CS(=O)(=O)F CS(=O)(=O)Cl O=S(F)F O=S(Cl)Cl O=S(=O)(F)F
O=S(=O)(Cl)Cl FSF ClSCl ClSSCl FS(F)(F)F FS(F)(F)(F)(F)F FS(F)(F)(F)(F)Cl SO CSO CS(=O)O CSCl CSF NS
NS(N)(=O)=O CS(C)=N CN=S=O O=C1CS1 S=S=O CSSSC C[SH]=O c1ccsc1 SSSS S1SSSSSSS1 CS(=N)(C)=O
P CP CPC CP(C)C PP C=P C#P PF PCl FP(F)F ClP(Cl)Cl BrP(Br)Br IP(I)I FP(F)(F)(F)F ClP(Cl)(Cl)(Cl)Cl
O=P(F)(F)F O=P(Cl)(Cl)Cl S=P(Cl)(Cl)Cl CP(C)(C)=O C[PH2]=O OP(O)O O=[PH](O)O O=[PH2]O OP(O)(O)=O
CP(=O)(O)O COP(=O)(OC)OC COP(=S)(OC)OC CSP(C)(C)=S COP(OC)OC CN(C)P(C)C NP(N)(N)=O CP(C)(C)=C CP(F)F
CP(Cl)Cl CP(C)Cl CP(=O)(Cl)Cl P12P3P1P23 CP=O O=P12OP3(=O)OP(=O)(O1)OP(=O)(O3)O2 PS PO PN
CP(C)(C)(F)F O=P(O)(O)OP(=O)(O)O c1ccpcc1 CP(C)(C)=NC CP(C)(C)=S CP(=O)(O)C
NC(=N)N NCCN OCCO SCCS OCCN SCCN NCCS C1COCCO1 C1CSCCN1 c1cc[nH]c1 c1ccoc1 c1c[nH]cn1
c1cn[nH]c1 c1ccncc1 c1cncnc1 c1nnn[nH]1 c1nn[nH]n1 Oc1ccccc1 Nc1ccccc1 Sc1ccccc1 O=c1cc[nH]c(=O)[nH]1
Nc1cc[nH]c(=O)n1 Cc1c[nH]c(=O)[nH]c1=O Nc1ncnc2[nH]cnc12 Nc1nc2[nH]cnc2c(=O)[nH]1
""")

IONS = _words("""
[OH3+] [OH-] [NH4+] [NH2-] [CH3+] [CH3-] [C-]#N [SH-] [SH3+] [PH4+] [PH2-] [FH2+]
[ClH2+] [BrH2+] [IH2+] F[H-]F I[I-]I Cl[I-]Cl Br[I-]Br [N-]=[N+]=[N-] [N-]=C=O
[N-]=C=S [O-]C#N [S-]C#N O=[N+]([O-])[O-] O=N[O-] O=[N+]=O N#[O+] N#[NH+] [O-]O [O-]F [O-]Cl [O-]Br
[O-]I [O-]Cl=O [O-]Cl(=O)=O [O-]Cl(=O)(=O)=O [O-]Br(=O)=O [O-]I(=O)=O [O-]I(=O)(=O)=O
O=C[O-] CC(=O)[O-] O=C([O-])[O-] O=C([O-])O O=C([O-])C(=O)[O-] O=C([O-])CC(=O)[O-] [O-]C(=O)CCC(=O)[O-]
O=C([O-])c1ccccc1 O=C([O-])C(F)(F)F O=C([O-])CO CC(O)C(=O)[O-] C[O-] CC[O-] CC(C)(C)[O-] [O-]c1ccccc1
[O-]C=C C=C([O-])C CC([O-])=CC(C)=O [S-]c1ccccc1 C[S-] CC[S-] CC(=O)[S-] CC(=S)[S-] CN(C)C(=S)[S-]
CSS[S-] [S-][S-] C[CH-]C [CH-]1C=CC=C1 [CH2-]c1ccccc1 [CH2-]C#N [CH2-][N+](=O)[O-] C#[C-] C=[CH-]
[C-]#[C-] [CH2-]C=C C[NH-] C[N-]C [NH-]c1ccccc1 CC(=O)[N-]C O=C1CCC(=O)[N-]1 c1cc[n-]c1 c1c[n-]cn1
CS(=O)(=O)[O-] CS(=O)[O-] OS(=O)(=O)[O-] [O-]S(=O)(=O)[O-] [O-]S(=O)[O-] OS(=O)[O-] COS(=O)(=O)[O-]
O=S(=O)([O-])c1ccccc1 O=S(=O)([O-])C(F)(F)F CS(=O)(=O)[N-]C [O-]S(=O)(=O)F [O-]S(=O)(=O)S NS(=O)(=O)[O-]
OP(O)(=O)[O-] OP(=O)([O-])[O-] COP(=O)([O-])OC COP(=O)([O-])[O-] CP(=O)([O-])[O-] CP(=O)(O)[O-]
CP(C)(=O)[O-] O=P([O-])(O)F O=[PH]([O-])O O=P([O-])(O)OP(=O)([O-])O COP([O-])(=S)OC COP(=O)([O-])OP(=O)([O-])OC
F[P-](F)(F)(F)(F)F Cl[P+](Cl)(Cl)Cl C[P+](C)(C)C F[S+](F)F C[S+](C)C C[OH+]C
C[O+](C)C C[OH2+] CC=[OH+] CC(C)=[OH+] CC(O)=[OH+] NC(C)=[OH+] [NH3+]C C[NH2+]C C[NH+](C)C C[N+](C)(C)C
CC[NH3+] [NH3+]CC[NH3+] [NH3+]N [NH3+]O NC(N)=[NH2+] CNC(N)=[NH2+] CC(N)=[NH2+] C=[NH2+] C[NH+]=C C=[N+](C)C
c1cc[nH+]cc1 C[n+]1ccccc1 c1c[nH+]c[nH]1 Cn1cc[n+](C)c1 [NH3+]c1ccccc1 C1CC[NH2+]C1 C1C[NH2+]CCO1 C1C[NH2+]CC[NH2+]1
CC#[NH+] C[N+]#N N#[N+]c1ccccc1 CC#[O+] C[CH2+] C[CH+]C C[C+](C)C [CH2+]C=C [CH2+]c1ccccc1 [CH+]1C=CC=CC=C1 [CH+]1C=C1
[CH+]=C O=[CH+] [CH2+]O C=[OH+] F[C+](F)F Cl[C+](Cl)Cl C[I+]C c1ccc([I+]c2ccccc2)cc1 C[Br+]C C[Cl+]C
C1C[Br+]1 C1C[Cl+]1 C1C[I+]1 C[I+]c1ccccc1 [S-]c1ccncc1 [O-]c1ccncc1 [O-]c1ccc([N+](=O)[O-])cc1
N#C[C-](C#N)C#N N#C[N-]C#N O=C1C=CC(=O)C([O-])=C1 O=c1cc[n-]c(=O)[nH]1 [O-][n+]1ccccc1 C[N+](C)(C)[O-] C[NH2+][O-]
""")

ZWITTERIONS = _words("""
[NH3+]CC(=O)[O-] CC([NH3+])C(=O)[O-] C[NH2+]CC(=O)[O-] C[N+](C)(C)CC(=O)[O-] [NH3+]CCC(=O)[O-]
[NH3+]CCCC(=O)[O-] CC(C)C([NH3+])C(=O)[O-] OCC([NH3+])C(=O)[O-] CC(O)C([NH3+])C(=O)[O-] SCC([NH3+])C(=O)[O-]
[O-]C(=O)C1CCC[NH2+]1 NC(=O)CC([NH3+])C(=O)[O-] [NH3+]C(CC(=O)[O-])C(=O)[O-] [NH3+]CCCCC([NH3+])C(=O)[O-]
NC(=[NH2+])NCCCC([NH3+])C(=O)[O-] [NH3+]C(Cc1ccccc1)C(=O)[O-] [NH3+]C(Cc1c[nH]cn1)C(=O)[O-] CSCCC([NH3+])C(=O)[O-]
[NH3+]CCS(=O)(=O)[O-] [NH3+]CS(=O)(=O)[O-] [NH3+]CP(=O)([O-])O [NH3+]CCOP(=O)([O-])O C[N+](C)(C)CCOP(=O)([O-])OC
[NH3+]CC(=O)NCC(=O)[O-] [NH3+]c1ccc(S(=O)(=O)[O-])cc1 [O-]C(=O)c1ccc[nH+]c1 C[n+]1cccc([O-])c1 C[P+](C)(C)CC(=O)[O-]
C[S+](C)CC(=O)[O-] C[N+](C)(C)CCCS(=O)(=O)[O-] [NH2+]=C(N)NCC(=O)[O-] [NH3+]OCC(=O)[O-]
""")

PARTNERS = _words("""
O O O O O O O O O O O O N CO C=O CC(=O)O CC(N)=O c1ccccc1 C S CS CCl CBr CI CF O=C=O CC#N CS(C)=O OP(O)(O)=O
[OH3+] [NH4+] C[NH3+] NC(N)=[NH2+] C[N+](C)(C)C [F-] [Cl-] [Br-] [I-] [OH-] CC(=O)[O-] O=[N+]([O-])[O-]
OP(O)(=O)[O-] CS(=O)(=O)[O-] C[S-] [O-]c1ccccc1 c1c[nH+]c[nH]1
""")
"""What molecules meet in dimers and clusters besides each other; water more often than others."""
