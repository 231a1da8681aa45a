"""Ten pictures of 64x64 in H.264, a key frame every five, by x264: no encoder of it comes with OpenCV."""

from __future__ import annotations

import base64

_STREAM = (
    "00001XJh~hth6CCAOHXZ03ZMW22tWf)Bpeg0ch_52P^;p00Cu)geOX|w1Vcd|C3wA)Wo&^0+n^`giWG_7B^0pZ0|W!A+5PugJK_GIyf2a$0$"
    "cqY)Itp`f!_RRBYr_Av^Z1#lJ2YEqsFX{R-_h#11tPn^rDD@$#7o;SBj?#-Hw_I*KGsPjnJs?G5rFG&zEcxq5-ox(*o#<G97kbvi>8$bEnD9"
    "*vz3`p2DnWd4k@D2a#HqDmD5wz8G5D#hSywTpX(90)ixk8N}>_0<~FsSOgJ8=*@8F!)#H)an}VWLXo@ran+W=y6|EIkx2DV27LA30-Ie57D<"
    "Uifb6WT(L03C2fvXZaq*+0i<|V+E$NZH*=nhp6D&77+nlMfY)B!TC&*y0003&nkFK@^l#EjTf?%T+4NsXXP?V;d@srhng9R*0YREZB>(aF8G"
    "Q^PRL=Dt1fN74XZX<io!FI0BEvnv7~-6*WB!~$%A{~tfdBvi0YRE(Kkr#2|G~U8U_&5?El)Sh<qj0~nZ&pGQM3Wm?fTT2=}ms}KmY&$0YRFE"
    "C;#f=BtlZ`0~RN@&p%-~NK9CYtu6Xv?Fm=7rxw%p@XeOwdk;ue^y!KZqIeJ?MMpx300001XJh~hth6CCAOHXZ03ZMW22tWf)Bpeg0ch_52P^"
    ";p00Cu)f(!rAFizJ5v)nwchjJ7RF?ngrEigB5g4cNO$y$hdOMu`gaW;PC5>if4iKbRxLST8=(IAAI{7z6?+XgXHpwwn;o@A`Zj}+hXlz<N_%"
    "vnpAM7ObAd|pW5&0w<XXaU+pT~%WAo<6?g&etpo!pR3K<tL;F&s%S70mQm<b?pxOhw_f?C#Cs9j45j#@#u4Pz^hmw>(ikaO%my|mk1hHQ4*u"
    "U28a@Lu7H+%rI?HUe(h%I*sOT56;pPwi{~dPQNDvj;AJ2Gi-@mM{M2G#d&_OEIPpBT!NOtW^Lk)lYbFQ!W1eS+KYhQE=QOgy|HEuApR#kdKI"
    "PBt#8}HevlZ+7O`5#`I)7-&tu${rRr&wa695Mt%D?_Y9?N-4CXO#Oz`Z}>#Qi>UGb?0u00001L7FBc|MB?^czj(33(ZoP*m}0~c>n+a0YREZ"
    "Kkr!4=!=A2_&>N$r#*iYrGo>lvt-^L&5ISnP!9IZ00001L7HYI|Le_?Eu!Nvf957u9^V%kI1AusWO$zj3ZxxJ-zB-by;+Nsc}=DO0003&nua"
    "2O>EY!APNu!4FTGJe{`%&xmF?oa0qItM91N4uz46{}(6=#D1rEzpLpX%JIl#qP=>rlcef}K`xx|*b^^c12@8(NM"
)


def h264_stream() -> bytes:
    """Return it as a byte stream (ITU-T H.264, annex B)."""
    return base64.b85decode(_STREAM)


CONCEALED_AT = (280, 313, 342, 548, 623)
"""Where one bit, of value 4, changes pictures of which FFmpeg says no more than that it conceals blocks of them."""
